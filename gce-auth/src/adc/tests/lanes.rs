//! Trouble where one provider's token comes from delays no other.

use serde_json::{Value, json};

use crate::{
    adc::tests::files::{external, load},
    world::World,
};

fn aws(more: &Value) -> Value {
    let mut source = json!({"environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com"});
    let more = more.as_object().unwrap().clone();
    source.as_object_mut().unwrap().extend(more);
    source
}

#[test]
fn every_place_that_tokens_of_providers_come_from_has_a_lane_of_its_own() {
    let world = World::new([]);
    let executable = |command| json!({"executable": {"command": command}});
    let sources = [
        json!({"file": "/slow/token"}),
        json!({"file": "/quick/token"}),
        json!({"url": "https://slow.example/token"}),
        json!({"url": "https://quick.example/token"}),
        executable("/bin/slow"),
        executable("/bin/quick"),
        executable("/bin/quick --for=another"),
        aws(&json!({"url": "http://127.0.0.1:1/role"})),
        aws(&json!({"url": "http://127.0.0.1:2/role"})),
        aws(&json!({"region_url": "http://127.0.0.1:3/region"})),
        aws(&json!({"region_url": "http://127.0.0.1:4/region"})),
        // The exchange alone is asked.
        aws(&json!({})),
    ];
    let lane = |source: &Value| {
        let mut file = external(source);
        if source.get("environment_id").is_some() {
            file["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
        }
        let credentials = load(&world, &file, &[]);
        credentials.0.inner.source.lane().clone()
    };
    let lanes = sources.each_ref().map(lane);
    for (one, source) in sources.iter().enumerate() {
        assert_eq!(lane(source), lanes[one], "{source}");
        for other in 0..one {
            assert_ne!(lanes[other], lanes[one], "{source} {}", sources[other]);
        }
    }
    // What lies together is slow together.
    let beside = lane(&json!({"file": "/slow/other"}));
    assert_eq!(beside, lanes[0]);
}
