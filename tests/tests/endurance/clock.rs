//! The development clock, moved at once by a server's own door.

use crate::server::Server;

/// Moves the clock forward for everybody on the server's database.
pub async fn advance(server: &Server, seconds: i64) {
    let form = [("step", "custom".to_owned()), ("seconds", seconds.to_string())];
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let post = client.expect("a client").post(format!("{}/dev/clock", server.url)).form(&form);
    let answer = post.send().await.expect("an answer");
    let target = answer.headers().get("location").and_then(|to| to.to_str().ok());
    let target = target.unwrap_or_default();
    assert!(target.contains("moved="), "{} {target}", answer.status());
}
