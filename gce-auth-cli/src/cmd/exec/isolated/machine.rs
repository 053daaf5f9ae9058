//! What a machine of Compute Engine looks like from inside: pure texts.

use gce_auth_emulator::API_HOSTS;

/// The address of the metadata server.
pub(super) const METADATA: [u8; 4] = [169, 254, 169, 254];
/// The address of the APIs: one of the loopback interface that no other program listens on.
pub(super) const APIS: [u8; 4] = [127, 0, 0, 254];

/// The names of the metadata server.
pub(super) const METADATA_NAMES: [&str; 3] =
    ["metadata.google.internal", "metadata", "metadata.goog"];

/// Files of `/sys/class/dmi/id`, as Compute Engine fills them. The serial number is not secret
/// here.
pub(super) const DMI: [(&str, &str); 17] = [
    ("bios_date", "10/25/2025"),
    ("bios_vendor", "Google"),
    ("bios_version", "Google"),
    ("board_name", "Google Compute Engine"),
    ("board_vendor", "Google"),
    ("board_version", ""),
    ("chassis_type", "1"),
    ("chassis_vendor", "Google"),
    ("chassis_version", ""),
    (
        "modalias",
        "dmi:bvnGoogle:bvrGoogle:bd10/25/2025:br1.0:svnGoogle:pnGoogleComputeEngine:pvr:\
         rvnGoogle:rnGoogleComputeEngine:rvr:cvnGoogle:ct1:cvr:",
    ),
    ("product_family", ""),
    ("product_name", "Google Compute Engine"),
    (
        "product_serial",
        "GoogleCloud-00000000000000000000000000000000",
    ),
    ("product_sku", ""),
    ("product_uuid", "00000000-0000-0000-0000-000000000000"),
    ("product_version", ""),
    ("sys_vendor", "Google"),
];

/// Returns a hosts file with the metadata server's names, and with `apis` those of the APIs, over
/// the other lines of an existing one. Each name comes with a dot at its end, too, as resolvers
/// compare texts.
pub(super) fn hosts(existing: &str, apis: bool) -> String {
    let mut hosts = line(METADATA, &METADATA_NAMES);
    if apis {
        hosts += &line(APIS, &API_HOSTS);
    }
    let ours = |name: &str| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        METADATA_NAMES.contains(&name.as_str()) || (apis && API_HOSTS.contains(&name.as_str()))
    };
    let kept = existing.lines().filter(|line| {
        let text = line.split('#').next().unwrap_or_default();
        !text.split_whitespace().skip(1).any(ours)
    });
    for line in kept {
        hosts += line;
        hosts.push('\n');
    }
    if !hosts.lines().any(|line| line.contains("localhost")) {
        hosts += "127.0.0.1 localhost\n";
    }
    hosts
}

/// Returns the hosts to reach without a proxy.
pub(super) fn proxy_exceptions(apis: bool) -> String {
    let [a, b, c, d] = METADATA;
    let mut hosts = format!("{a}.{b}.{c}.{d},{}", METADATA_NAMES.join(","));
    if apis {
        hosts += &format!(",{}", API_HOSTS.join(","));
    }
    hosts
}

fn line([a, b, c, d]: [u8; 4], names: &[&str]) -> String {
    let mut line = format!("{a}.{b}.{c}.{d}");
    for name in names {
        line += &format!(" {name} {name}.");
    }
    line.push('\n');
    line
}

/// Returns an existing `nsswitch.conf` in which names of hosts come from the hosts file first:
/// systemd-resolved would answer from outside. The machine's own name is found as before.
pub(super) fn nsswitch(existing: &str) -> String {
    let is_hosts = |line: &&str| line.trim_start().starts_with("hosts:");
    let (hosts, others): (Vec<_>, Vec<_>) = existing.lines().partition(is_hosts);
    let own_name = hosts.iter().any(|line| line.contains("myhostname"));
    let mut switch: String = others.iter().map(|line| format!("{line}\n")).collect();
    switch += if own_name {
        "hosts: files myhostname dns\n"
    } else {
        "hosts: files dns\n"
    };
    switch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_s_names_replace_those_of_an_existing_file() {
        let existing = "127.0.0.1 localhost\n10.0.0.1 a b # metadata\n\
            10.0.0.2 Metadata.google.internal.\n10.0.0.3 sts.googleapis.com";
        assert_eq!(
            hosts(existing, false),
            "169.254.169.254 metadata.google.internal metadata.google.internal. metadata metadata. \
             metadata.goog metadata.goog.\n127.0.0.1 localhost\n10.0.0.1 a b # metadata\n\
             10.0.0.3 sts.googleapis.com\n"
        );
        let with = hosts(existing, true);
        let line = with.lines().nth(1).unwrap();
        assert!(line.starts_with(
            "127.0.0.254 iamcredentials.googleapis.com iamcredentials.googleapis.com. sts"
        ));
        assert!(!with.contains("10.0.0.3"), "{with}");
        assert!(hosts("", true).ends_with("\n127.0.0.1 localhost\n"));
    }

    #[test]
    fn hosts_come_from_the_file_first() {
        let existing = "passwd: files systemd\nhosts: mymachines resolve [!UNAVAIL=return] files\n";
        let expected = "passwd: files systemd\nhosts: files dns\n";
        assert_eq!(nsswitch(existing), expected);
        assert_eq!(nsswitch(""), "hosts: files dns\n");
        let own_name = nsswitch("hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns");
        assert_eq!(own_name, "hosts: files myhostname dns\n");
    }
}
