# Runs inside the namespaces that `run` makes: starts the emulator at the real address, then each
# program, and checks what each made of it. Prints a line for each; exit code 1 if one is wrong.
set -uo pipefail
cd /opt/machines
. report.sh

printf '127.0.0.1 localhost\n169.254.169.254 metadata.google.internal metadata.google.internal. metadata\n' >/etc/hosts
key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUq2vX1yN0sXQF0J7m1kH7g2V9d3xkqQ3u6b5m4n8Zb'
cat >overlay.toml <<END
[project.attributes]
ssh-keys = "alice:$key alice@laptop"
[instance.attributes]
role = "web"
enable-oslogin = "FALSE"
user-data = "#cloud-config\n{}\n"
END
login='[{"name":"bob@example.com","posixAccounts":[{"primary":true,"username":"bob_example_com","uid":"61001",
    "gid":"61001","homeDirectory":"/home/bob_example_com","shell":"/bin/bash","gecos":"Bob"}]}]'
groups='[{"name":"operators","gid":"62001","members":["bob_example_com"]}]'

./gce-auth emulate --address 169.254.169.254 --allow-from 169.254.169.254/32 --port 80 --ready-json \
    --project test-project --set "oslogin/users=$login" --set "oslogin/groups=$groups" --overlay overlay.toml >ready 2>emulator.log &
for _ in $(seq 100); do [[ -s ready ]] && break; sleep 0.05; done
[[ -s ready ]] || { cat emulator.log; exit 1; }

# A product name like Compute Engine's.
mount -t tmpfs tmpfs /sys/class
mkdir -p /sys/class/dmi/id
printf 'Google Compute Engine\n' | tee /sys/class/dmi/id/product_name >/sys/class/dmi/id/sys_vendor
printf 'Google\n' | tee /sys/class/dmi/id/bios_vendor /sys/class/dmi/id/board_vendor >/sys/class/dmi/id/chassis_vendor

# --- google-guest-agent: an account for each key of the metadata --------------------------------

/usr/bin/google_guest_agent >agent.log 2>&1 &
agent=$!
if until_true grep -q "${key##* }" /home/alice/.ssh/authorized_keys && getent passwd alice >/dev/null; then
    good "$(version google-guest-agent): made the account of the project's ssh-keys"
else
    bad "$(version google-guest-agent) made no account: $(tail -3 agent.log)"
fi
kill "$agent"

# --- guest-oslogin: who may log in, through the name service switch ------------------------------

# Names are looked up one by one; lists come from a cache that a timer fills on a machine.

user=bob_example_com
sed -i 's/^passwd:.*/passwd: files cache_oslogin oslogin/; s/^group:.*/group: files cache_oslogin oslogin/' /etc/nsswitch.conf
if getent passwd "$user" | grep -q "^$user:" && google_oslogin_nss_cache 2>cache.log &&
    getent passwd | grep -q "^$user:" && getent group | grep -q '^operators:'; then
    good "$(version google-compute-engine-oslogin): looked up and listed $user"
else
    bad "$(version google-compute-engine-oslogin): user '$user' is not known to getent: $(getent passwd | tail -1)"
fi
sed -i 's/^passwd:.*/passwd: files/; s/^group:.*/group: files/' /etc/nsswitch.conf

# --- ohai ----------------------------------------------------------------------------------------

ohai gce >ohai.json 2>ohai.log
if grep -q '"projectId": *"test-project"' ohai.json && grep -q '"role": *"web"' ohai.json; then
    good "$(version ohai): gce is the machine of the emulator"
else
    bad "$(version ohai): $(head -c 300 ohai.json) $(tail -2 ohai.log)"
fi

# --- cloud-init ----------------------------------------------------------------------------------

# It believes no DMI in a container, which this is by its namespaces.
printf '#!/bin/sh\nexit 1\n' >/usr/bin/systemd-detect-virt
chmod 755 /usr/bin/systemd-detect-virt
if /usr/bin/python3 cloud_init.py >cloud-init.log 2>&1; then
    good "$(version cloud-init): $(tail -1 cloud-init.log)"
else
    bad "$(version cloud-init): $(tail -3 cloud-init.log)"
fi

# --- pyarrow -------------------------------------------------------------------------------------

if timeout 60 /opt/pyarrow/bin/python storage.py >pyarrow.log 2>&1; then
    good "$(tail -1 pyarrow.log)"
else
    bad "pyarrow: $(tail -3 pyarrow.log)"
fi

exit "$failed"
