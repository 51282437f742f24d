//! A person with a browser that runs no JavaScript: visits pages, fills in forms, follows redirects
//! across sites, keeps cookies.

use reqwest::header::{ACCEPT, ORIGIN, REFERER};

use crate::page::{Form, Page};

/// Somebody.
pub struct Person {
    client: reqwest::Client,
    base: String,
    /// The address they signed up with.
    pub email: String,
    /// Their password.
    pub password: String,
}

const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

impl Person {
    /// A stranger at this site.
    pub fn stranger(base: &str) -> Self {
        let client = reqwest::Client::builder().cookie_store(true).build().expect("a client");
        let (email, password) = (String::new(), String::new());
        Self { client, base: base.to_owned(), email, password }
    }

    /// Opens a page; a path is one of this site's.
    pub async fn visit(&self, address: &str) -> Page {
        let url = self.absolute(address);
        let request = self.client.get(url).header(ACCEPT, HTML);
        Self::read(request.send().await.expect("an answer")).await
    }

    /// Sends a form as a browser without JavaScript does, from the page it stands on.
    pub async fn submit(&self, page: &Page, form: &Form) -> Page {
        let url = page.url.join(&form.action).expect("an address");
        let request = match form.post {
            true => self.client.post(url).form(&form.fields),
            false => self.client.get(url).query(&form.fields),
        };
        let origin = page.url.origin().ascii_serialization();
        let request = request.header(ACCEPT, HTML).header(ORIGIN, origin);
        let request = request.header(REFERER, page.url.as_str());
        Self::read(request.send().await.expect("an answer")).await
    }

    /// Fills in the form with this action on the page and sends it.
    pub async fn fill(&self, page: &Page, action: &str, values: &[(&str, &str)]) -> Page {
        let mut form = page.form(action);
        for (name, value) in values {
            form = form.with(name, value);
        }
        self.submit(page, &form).await
    }

    /// Signs up, and is signed in then.
    pub async fn sign_up(&mut self, name: &str) -> Page {
        self.email = format!("{}@example.com", name.to_lowercase());
        self.password = "a good long passphrase".to_owned();
        let page = self.visit("/sign-up").await;
        let values = [("name", name), ("email", &self.email), ("password", &self.password)];
        let page = self.fill(&page, "sign_up", &values).await;
        assert_eq!(page.url.path(), "/dashboard", "signed up: {}", page.text());
        page
    }

    /// The client, for what is not a page.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    fn absolute(&self, address: &str) -> String {
        match address.starts_with("http") {
            true => address.to_owned(),
            false => format!("{}{address}", self.base),
        }
    }

    async fn read(response: reqwest::Response) -> Page {
        let (url, status) = (response.url().clone(), response.status().as_u16());
        Page { url, status, html: response.text().await.expect("a page") }
    }
}
