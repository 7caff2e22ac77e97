//! The services as a cluster runs them: behind the paths of the Ingress, two of each, with no rights but their own.
//!
//! It is one test, as the stage is fifteen processes, which are started once for all that is to be seen on it.

mod heal;
mod load;
mod rights;
mod traces;

use docket_tests::{ADMIN, Person, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn the_overlay_sells_guards_what_is_of_others_and_is_replaced_unnoticed() {
    let stage = Stage::start().await;
    let base = stage.base();
    let (seller, buyer) =
        (Person::sign_up(&base, "seller@example.com").await, Person::sign_up(&base, "buyer@example.com").await);
    super::journey::walk(&seller, &buyer).await;
    its_pages_show_it(&buyer).await;

    traces::one_leads_from_the_click_to_the_pass(&stage, &seller, &buyer).await;

    rights::at_nats(&stage).await;
    rights::at_mongodb(&stage).await;

    let admin = Person::sign_up(&base, ADMIN).await;
    admin.verify_email().await;
    load::while_all_are_replaced(&stage, &seller, &admin).await;
    heal::when_servers_are_deleted(&stage, &seller).await;
    stage.stop().await;
}

/// What the buyer sees of the order in the pages, which have it from the other services.
async fn its_pages_show_it(buyer: &Person) {
    let calls = buyer.get("/api/docs/openapi.json").await.expect(200);
    assert!(calls["paths"]["/api/orders"].is_object(), "{calls}");
    let orders = buyer.get("/api/orders").await.expect(200);
    let order = orders["items"][0]["id"].as_str().unwrap();
    for page in ["/orders".to_owned(), format!("/orders/{order}"), format!("/orders/{order}/passes")] {
        let answer = buyer.get(&page).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{page}: {answer:?}");
        let text = answer.expect(200);
        assert!(text.as_str().unwrap().contains("Friday evening"), "{page} does not show what was bought: {text}");
    }
}
