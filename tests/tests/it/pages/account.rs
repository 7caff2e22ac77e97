//! One's account in a browser: the password that comes by mail, name and sessions.

use docket_tests::{App, Browser, PASSWORD, eventually};

const NEW_PASSWORD: &str = "another horse, another battery";

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_replaced_through_the_mail() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let page = Browser::phone().visit(&app.base()).await;
    page.open("/signin").await;
    page.click_link("Forgot your password?").await;
    page.until_at("/forgot-password").await;
    page.fill("E-mail", &person.email).await;
    page.click_button("Send me a link").await;
    page.see("a mail with a link is on its way").await;

    let link = format!("Follow the link in “Set a new password” to {}", person.email);
    let mails = page.tab().await;
    eventually("the mail is written", 10, || async {
        app.visitor()
            .get("/api/users/dev/mail")
            .await
            .expect(200)
            .to_string()
            .contains("Set a new password")
            .then_some(())
    })
    .await;
    mails.open("/dev/mail").await;
    mails.click_link(&link).await;
    mails.until_at("/reset-password").await;
    mails.fill("New password", NEW_PASSWORD).await;
    mails.click_button("Change password").await;
    mails.see("Your password is changed").await;
    mails.click_link("Go on to sign in").await;

    mails.until_at("/signin").await;
    mails.fill("E-mail", &person.email).await;
    mails.fill("Password", PASSWORD).await;
    mails.click_button("Sign in").await;
    mails.see("is wrong").await;
    mails.fill("Password", NEW_PASSWORD).await;
    mails.click_button("Sign in").await;
    mails.see("My orders").await;
    for page in [page, mails] {
        page.expect_no_errors().await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_changes_the_name_and_ends_other_sessions() {
    let app = App::start().await;
    let person = app.sign_up().await;
    let elsewhere = person.elsewhere().await;
    let page = Browser::desktop().visit_as(&person).await;
    page.open("/profile").await;
    page.fill("Name", "Robin Reader").await;
    page.click_button("Save").await;
    page.see("Saved.").await;
    page.see("This one").await;
    let ends: Vec<String> =
        page.names("button").await.into_iter().filter(|name| name.starts_with("End the session")).collect();
    assert_eq!(ends.len(), 1, "there is one other session: {ends:?}");
    page.click_button(&ends[0]).await;
    page.see_no("End the session").await;
    elsewhere.get("/api/users/sessions").await.problem(401, "unauthenticated");

    page.click("Robin Reader").await;
    page.click_button("Sign out").await;
    page.see("Sign in").await;
    page.expect_no_errors().await;
    app.stop().await;
}
