//! Whoever has as many free tickets as one person may have is told so, on the page of the show.

use docket_tests::App;
use serde_json::json;

use super::tab::Tab;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_a_free_show_says_who_has_all_that_one_may_have() {
    let app = App::start().await;
    let (seller, buyer) = (app.sign_up().await, app.sign_up().await);
    let show = json!({ "title": "Open day", "price": "0", "quantity": 60, "perOrderLimit": 2 });
    let ticket = seller.list(show).await.expect(201);
    buyer.hold(&ticket, 2).await.expect(201);
    let tab = Tab::of(&buyer, &app.base());
    let page = format!("/tickets/{}", ticket["id"].as_str().unwrap());
    let fields = format!("quantity=1&key={}", tab.get(&page).await.hidden("key"));
    let refused = tab.post(&format!("{page}/hold"), &fields).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let says = "role=\"alert\">You have 2 free tickets of this show already and may have 2.<";
    assert!(refused.text.contains(says), "{}", refused.text);
    app.stop().await;
}
