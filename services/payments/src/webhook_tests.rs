use serde_json::json;

use super::*;

const NOW: Time = Time::from_millis(1_795_000_000_000);

fn secrets() -> Vec<SecretString> {
    ["whsec_new", "whsec_old"].map(SecretString::from).to_vec()
}

fn body(kind: &str, object: &Value) -> String {
    json!({ "id": "evt_1", "object": "event", "type": kind, "data": { "object": object } }).to_string()
}

fn read(body: &str, secret: &str, seconds_ago: i64) -> Result<Notice, NotGenuine> {
    let signature = Webhook::generate_test_header(body, secret, Some(NOW.seconds() - seconds_ago));
    Notice::read(body.as_bytes(), &signature, &secrets(), NOW)
}

fn subject_of(kind: &str, object: &Value) -> Subject {
    read(&body(kind, object), "whsec_new", 0).unwrap().subject
}

#[test]
fn both_secrets_of_a_rotation_are_good() {
    let body = body("unknown.thing", &json!({}));
    for secret in ["whsec_new", "whsec_old"] {
        assert_eq!(read(&body, secret, 299).unwrap().subject, Subject::Nothing);
    }
}

#[test]
fn forged_and_stale_ones_are_refused() {
    let body = body("payment_intent.succeeded", &json!({ "id": "pi_1" }));
    assert_eq!(read(&body, "whsec_other", 0), Err(NotGenuine::Signature));
    assert_eq!(read(&body, "whsec_new", 301), Err(NotGenuine::Signature));
    assert_eq!(read(&body, "whsec_new", -301), Err(NotGenuine::Signature));
    let signature = Webhook::generate_test_header(&body, "whsec_new", Some(NOW.seconds()));
    let changed = body.replace("pi_1", "pi_2");
    for (body, signature) in
        [(changed.as_str(), signature.as_str()), (&body, ""), (&body, "t=1,v1=00"), (&body, "garbage")]
    {
        assert_eq!(Notice::read(body.as_bytes(), signature, &secrets(), NOW), Err(NotGenuine::Signature));
    }
    assert_eq!(Notice::read(body.as_bytes(), &signature, &[], NOW), Err(NotGenuine::Signature));
}

#[test]
fn a_signed_body_that_is_no_event_is_refused() {
    assert_eq!(read("[]", "whsec_new", 0), Err(NotGenuine::Body));
    assert_eq!(read("{", "whsec_new", 0), Err(NotGenuine::Body));
}

#[test]
fn all_that_is_asked_for_matters() {
    for kind in WEBHOOK_EVENTS {
        let object = json!({ "id": "pi_1", "payment_intent": "pi_1", "reason": "general" });
        assert_ne!(subject_of(kind, &object), Subject::Nothing, "{kind}");
    }
}

#[test]
fn each_kind_tells_what_to_look_at() {
    let order = "01950000-0000-7000-8000-000000000000";
    let intent = || "pi_1".to_owned();
    let paid = subject_of("payment_intent.succeeded", &json!({ "id": "pi_1", "metadata": { ORDER: order } }));
    assert_eq!(paid, Subject::Intent { intent: intent(), order: order.parse().ok() });
    let strange = subject_of("payment_intent.processing", &json!({ "id": "pi_1", "metadata": { ORDER: "$ne" } }));
    assert_eq!(strange, Subject::Intent { intent: intent(), order: None });
    let expanded = subject_of("refund.failed", &json!({ "id": "re_1", "payment_intent": { "id": "pi_1" } }));
    assert_eq!(expanded, Subject::Refunds { intent: intent() });
    let dispute = subject_of("charge.dispute.created", &json!({ "payment_intent": "pi_1", "reason": "fraudulent" }));
    assert_eq!(dispute, Subject::Dispute { intent: intent(), reason: "fraudulent".to_owned() });
    assert_eq!(subject_of("payment_intent.created", &json!({ "id": "pi_1" })), Subject::Nothing);
    assert_eq!(subject_of("charge.succeeded", &json!({ "payment_intent": "pi_1" })), Subject::Nothing);
}
