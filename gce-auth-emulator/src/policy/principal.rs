//! The principal that a token stands for.

use aws_lc_rs::digest;

/// A service account, a user, or an identity of a workload or workforce pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Principal {
    ServiceAccount { email: String },
    User { email: String },
    Federated(Federated),
}

/// An identity that a pool mapped from a credential of another issuer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Federated {
    /// `projects/NUMBER/locations/LOCATION/workloadIdentityPools/POOL`, or
    /// `locations/LOCATION/workforcePools/POOL`.
    pub(crate) pool: String,
    /// `google.subject`.
    pub(crate) subject: String,
    /// `google.groups`.
    pub(crate) groups: Vec<String>,
    /// `attribute.NAME`, without the prefix.
    pub(crate) attributes: Vec<(String, String)>,
}

impl Principal {
    pub(crate) fn service_account(email: impl Into<String>) -> Self {
        Self::ServiceAccount {
            email: email.into(),
        }
    }

    pub(crate) fn user(email: impl Into<String>) -> Self {
        Self::User {
            email: email.into(),
        }
    }

    /// The email of an account or a user.
    pub(crate) fn email(&self) -> Option<&str> {
        match self {
            Self::ServiceAccount { email } | Self::User { email } => Some(email),
            Self::Federated(_) => None,
        }
    }

    /// The email of an account or a user, else the identifier in IAM policies.
    pub(crate) fn name(&self) -> String {
        self.email().map_or_else(|| self.member(), Into::into)
    }

    /// The identifier in IAM policies: `serviceAccount:EMAIL`, `user:EMAIL` or
    /// `principal://iam.googleapis.com/POOL/subject/SUBJECT`.
    pub(crate) fn member(&self) -> String {
        match self {
            Self::ServiceAccount { email } => format!("serviceAccount:{email}"),
            Self::User { email } => format!("user:{email}"),
            Self::Federated(identity) => format!(
                "principal://iam.googleapis.com/{}/subject/{}",
                identity.pool, identity.subject
            ),
        }
    }

    /// The 21 digits that stand for an account or a user in tokens; of a federated identity, its
    /// subject.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::ServiceAccount { email } | Self::User { email } => unique_id(email),
            Self::Federated(identity) => identity.subject.clone(),
        }
    }

    /// Whether a member of an IAM policy means this principal. A bare email means a service account
    /// or a user.
    pub(crate) fn is(&self, member: &str) -> bool {
        if member == "*" || member == self.member() || self.email() == Some(member) {
            return true;
        }
        let Self::Federated(identity) = self else {
            return false;
        };
        let Some(rest) = member
            .strip_prefix("principalSet://iam.googleapis.com/")
            .and_then(|rest| rest.strip_prefix(identity.pool.as_str()))
            .and_then(|rest| rest.strip_prefix('/'))
        else {
            return false;
        };
        if rest == "*" {
            return true;
        }
        if let Some(group) = rest.strip_prefix("group/") {
            return identity.groups.iter().any(|of| of == group);
        }
        rest.strip_prefix("attribute.")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(name, value)| {
                identity
                    .attributes
                    .iter()
                    .any(|(of, is)| of == name && is == value)
            })
    }
}

/// The 21 digits that stand for an email in tokens; the same for the same email.
pub(crate) fn unique_id(email: &str) -> String {
    let digest = digest::digest(&digest::SHA256, email.as_bytes());
    let number = digest
        .as_ref()
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("1{number:020}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_policies_name_principals() {
        let account = Principal::service_account("a@p.iam.gserviceaccount.com");
        assert!(account.is("serviceAccount:a@p.iam.gserviceaccount.com"));
        assert!(account.is("a@p.iam.gserviceaccount.com") && account.is("*"));
        assert!(!account.is("user:a@p.iam.gserviceaccount.com") && !account.is("b@p"));
        assert_eq!(account.subject().len(), 21);

        let pool = "projects/1/locations/global/workloadIdentityPools/pool";
        let workload = Principal::Federated(Federated {
            pool: pool.into(),
            subject: "repo:me/it".into(),
            groups: vec!["g".into()],
            attributes: vec![("owner".into(), "me".into())],
        });
        let at = "iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool";
        for member in [
            format!("principal://{at}/subject/repo:me/it"),
            format!("principalSet://{at}/*"),
            format!("principalSet://{at}/group/g"),
            format!("principalSet://{at}/attribute.owner/me"),
        ] {
            assert!(workload.is(&member), "{member}");
        }
        for member in [
            format!("principal://{at}/subject/repo:me"),
            format!("principalSet://{at}/group/h"),
            format!("principalSet://{at}/attribute.owner/you"),
            format!("principalSet://{at}2/*"),
            format!("principalSet://{at}"),
        ] {
            assert!(!workload.is(&member), "{member}");
        }
    }
}
