//! What the program asked, said at its end.

use gce_auth::DefaultSource;
use gce_auth_emulator::Emulator;

use crate::output::Output;

/// How the program was led to the emulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Led {
    /// By variables.
    Variables,
    /// By a proxy, too.
    Proxy,
    /// By namespaces in which the emulator is at the real address.
    #[cfg(target_os = "linux")]
    Namespaces,
}

/// Prints the requests of the program; without any, why that may be.
pub(super) fn print(emulator: &Emulator, led: Led, out: &Output) {
    let requests = emulator.requests();
    let kept = requests.len();
    let made = requests.last().map_or(0, |request| request.id);
    if made == 0 {
        let file = DefaultSource::gcloud_file().filter(|file| file.exists());
        let file = file.map(|file| file.display().to_string());
        out.say(nothing(led, file.as_deref()));
    } else if made == kept as u64 {
        out.say(format_args!("the program made {made} requests:"));
    } else {
        out.say(format_args!(
            "the program made {made} requests; these are the last {kept}:"
        ));
    }
    requests.iter().for_each(|request| out.say(request));
}

/// Says why nothing was asked. `gcloud_file` is gcloud's file of default credentials, if it exists.
fn nothing(led: Led, gcloud_file: Option<&str>) -> String {
    let why = match (led, gcloud_file) {
        (_, Some(file)) => format!(
            "it may have used the credentials in {file}; set CLOUDSDK_CONFIG to an empty directory \
             to hide them"
        ),
        (Led::Variables, None) => format!("it may not read GCE_METADATA_HOST; {}", help(led)),
        (Led::Proxy, None) => format!("it may not use http_proxy; {}", help(led)),
        #[cfg(target_os = "linux")]
        (Led::Namespaces, None) => {
            "it asked neither 169.254.169.254 nor a name of the hosts file; \
             it may need no metadata server, or have credentials in files or variables of its own"
                .to_owned()
        }
    };
    format!("the program made 0 requests: {why}")
}

/// Returns what helps a program that is not reached.
fn help(led: Led) -> &'static str {
    match led {
        _ if cfg!(target_os = "linux") => {
            "--isolated puts the emulator at the metadata server's own address and names"
        }
        Led::Variables => "--as-proxy reaches programs that use a proxy",
        _ => "run it on Linux with --isolated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_gcloud_explain_the_silence_first() {
        let why = nothing(Led::Variables, Some("/home/me/adc.json"));
        assert!(why.contains("/home/me/adc.json") && why.contains("CLOUDSDK_CONFIG"));
        assert!(nothing(Led::Variables, None).contains("GCE_METADATA_HOST"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_flag_that_helps_is_named_where_it_is_not_set() {
        assert!(nothing(Led::Variables, None).contains("--isolated"));
        assert!(nothing(Led::Proxy, None).contains("--isolated"));
        assert!(!nothing(Led::Namespaces, None).contains("--isolated"));
    }
}
