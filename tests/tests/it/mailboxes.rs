//! A mailbox has any number of addresses with a tag: letters to it are counted, and nothing else is.

use bson::{DateTime, Document, doc};
use docket_tests::{Answer, App, PASSWORD, eventually};
use futures::future::join_all;
use serde_json::{Value, json};

async fn sign_up(app: &App, email: &str) -> Answer {
    app.visitor().post("/api/users/signup", json!({ "email": email, "password": PASSWORD })).await
}

async fn forget(app: &App, email: &str) {
    app.visitor().post("/api/users/forgot-password", json!({ "email": email })).await.expect(202);
}

/// The mails for new passwords that were sent, once nobody waits for one.
async fn mails(app: &App) -> Vec<Value> {
    let requests = app.database("auth").await.collection::<Document>("reset_requests");
    let users = app.database("auth").await.collection::<Document>("users");
    let unsent = doc! { "_id": { "$gt": "" }, "letters.0": { "$exists": true } };
    eventually("all requests are looked after, and all letters are sent", 20, || async {
        let waiting = requests.estimated_document_count().await.unwrap();
        (waiting == 0 && users.count_documents(unsent.clone()).await.unwrap() == 0).then_some(())
    })
    .await;
    let mut mails = app.visitor().get("/api/users/dev/mail").await.expect(200)["items"].take();
    let mails = std::mem::take(mails.as_array_mut().unwrap());
    mails.into_iter().filter(|mail| mail["subject"] == "Set a new password").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_addresses_that_nobody_has_costs_the_owner_of_the_mailbox_nothing() {
    let app = App::start().await;
    sign_up(&app, "ana+shop@example.org").await.expect(201);
    for nth in 0..6 {
        forget(&app, &format!("ana+{nth}@example.org")).await;
        sign_up(&app, "ana+shop@example.org").await.problem(409, "email_taken");
    }
    assert_eq!(mails(&app).await, Vec::<Value>::new());
    forget(&app, "ana+shop@example.org").await;
    assert_eq!(mails(&app).await[0]["to"], "ana+shop@example.org");
    sign_up(&app, "ana+club@example.org").await.expect(201);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_gets_no_more_than_five_mails_an_hour_whatever_the_tag() {
    let app = App::start().await;
    let tagged = ["ana+shop@example.org", "ana+club@example.org"];
    for email in tagged {
        sign_up(&app, email).await.expect(201);
    }
    // Whether or not there is an account, the answer is the same.
    join_all(tagged.into_iter().flat_map(|email| [email; 5]).map(|email| forget(&app, email))).await;
    assert_eq!(mails(&app).await.len(), 5);
    // One that was counted when its letter could not be written is not counted once more.
    let counted = doc! { "_id": "01a22692-0bf6-7fb8-96bf-106e44aab1a0", "email": tagged[0], "dueAt": DateTime::now(), "counted": true };
    app.database("auth").await.collection::<Document>("reset_requests").insert_one(counted).await.unwrap();
    assert_eq!(mails(&app).await.len(), 6);
    app.stop().await;
}
