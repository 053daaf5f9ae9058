# Runs inside the file system that `run` makes: programs that know only the metadata server's own
# address, unchanged and without a setting, each under `gce-auth exec --isolated`, as a user without
# privileges. Prints a line for each; exit code 1 if one is wrong.
set -uo pipefail
cd /opt/machines
. report.sh

home=/tmp/home
install -d -o nobody -g nogroup "$home"

# Runs a program isolated, with nothing in its environment.
isolated() {
    setpriv --reuid nobody --regid nogroup --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=$home \
        ./gce-auth exec --isolated --project test-project --set instance/attributes/role=web "$@"
}

isolated -- true 2>why.log
if (($? == 125)); then
    printf 'SKIPPED isolated: %s\n' "$(cat why.log)"
    exit 0
fi

# --- Ruby ----------------------------------------------------------------------------------------

isolated --cloud -- ruby -e '
    require "googleauth"
    scope = "https://www.googleapis.com/auth/cloud-platform"
    credentials = Google::Auth.get_application_default [scope]
    token = credentials.fetch_access_token!["access_token"]
    # With the certificates that SSL_CERT_FILE names.
    known = Faraday.get "https://oauth2.googleapis.com/tokeninfo", access_token: token
    puts credentials.class, token[0, 5], JSON.parse(known.body)["scope"]
' >ruby.log 2>&1
if [[ $(<ruby.log) == $'Google::Auth::GCECredentials\nya29.\n'*cloud-platform* ]]; then
    good "$(version ruby-googleauth), isolated: a token, which OAuth at its own name knows"
else
    bad "$(version ruby-googleauth), isolated: $(tail -3 ruby.log)"
fi

# --- facter --------------------------------------------------------------------------------------

isolated -- facter --json gce.project.projectId gce.instance.attributes.role >facter.log 2>&1
if grep -q '"gce.project.projectId": "test-project"' facter.log &&
    grep -q '"gce.instance.attributes.role": "web"' facter.log; then
    good "$(version facter), isolated: by the vendor of the BIOS it is the machine of the emulator"
else
    bad "$(version facter), isolated: $(tail -5 facter.log)"
fi

# --- ohai ----------------------------------------------------------------------------------------

isolated -- ohai gce >ohai.log 2>&1
if grep -q '"projectId": *"test-project"' ohai.log && grep -q '"role": *"web"' ohai.log; then
    good "$(version ohai), isolated: gce is the machine of the emulator"
else
    bad "$(version ohai), isolated: $(tail -3 ohai.log)"
fi

# --- collectd ------------------------------------------------------------------------------------

# With a name of its own, as that of this machine may lead nowhere.
cat >$home/collectd.conf <<END
Interval 1
Hostname "machine"
BaseDir "$home"
PIDFile "$home/collectd.pid"
LoadPlugin load
LoadPlugin write_stackdriver
<Plugin write_stackdriver>
</Plugin>
END
chmod 644 $home/collectd.conf
isolated --journal -- bash -c "
    . report.sh
    collectd -f -C $home/collectd.conf >$home/collectd.log 2>&1 &
    asked() { curl -s http://169.254.169.254/emulator/v1/requests | grep -q /token; }
    until_true asked
    kill %1
    wait %1
" >collectd.log 2>&1
if grep -q 'GET /computeMetadata/v1/project/project-id 200' collectd.log &&
    grep -q 'GET /computeMetadata/v1/instance/service-accounts/default/token 200' collectd.log; then
    good "$(version collectd-core), isolated: write_stackdriver found the project and got a token"
else
    bad "$(version collectd-core), isolated: $(tail -n 5 collectd.log "$home/collectd.log")"
fi

exit "$failed"
