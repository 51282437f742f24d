//! A browser with JavaScript, driven as a person drives it: by what is written on the page.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chromiumoxide::browser::{Browser as Chromium, BrowserConfig};
use chromiumoxide::cdp::browser_protocol::dom::{GetOuterHtmlParams, ScrollIntoViewIfNeededParams};
use chromiumoxide::types::ClickOptions;
use chromiumoxide::{Element, Page};
use futures::StreamExt as _;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// For what a page comes to, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// For the browser itself: to start, and to answer a command.
const BROWSER_PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one tab.
pub struct Browser {
    chromium: Chromium,
    handler: JoinHandle<()>,
    /// The tab.
    pub page: Page,
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser. Whether pages may run scripts is told.
    pub async fn open(javascript: bool) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let config = BrowserConfig::builder()
            .chrome_executable(executable())
            .no_sandbox()
            .new_headless_mode()
            .window_size(1280, 900)
            .user_data_dir(profile.path())
            .launch_timeout(BROWSER_PATIENCE)
            .request_timeout(BROWSER_PATIENCE)
            .args(["disable-gpu", "disable-quic", "no-first-run", "disable-component-update"])
            .args(["disable-background-networking", "disable-sync"])
            .build()
            .expect("a configuration");
        let (chromium, mut events) = Chromium::launch(config).await.expect("Chromium starts");
        let handler = tokio::spawn(async move { while events.next().await.is_some() {} });
        let page = chromium.new_page("about:blank").await.expect("a tab");
        if !javascript {
            use chromiumoxide::cdp::browser_protocol::emulation as cdp;
            let off = cdp::SetScriptExecutionDisabledParams::new(true);
            page.execute(off).await.expect("scripts are off");
        }
        Self { chromium, handler, page, _profile: profile }
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) {
        self.page.goto(url).await.expect("the page loads");
    }

    /// Clicks what carries this text: a link, a button or a label.
    pub async fn click(&self, text: &str) {
        let quoted = format!("\"{text}\"");
        let paths = ["button", "a", "label", "summary"].map(|tag| {
            format!("//{tag}[contains(normalize-space(.), {quoted}) and not(@disabled)]")
        });
        self.click_at(&paths.join(" | ")).await;
    }

    /// Clicks the first visible thing that this XPath finds.
    pub async fn click_at(&self, path: &str) {
        self.press(path, 1).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
    }

    /// Types into the field with this name, in place of what was there.
    pub async fn fill(&self, name: &str, value: &str) {
        let path = format!("//input[@name=\"{name}\"] | //textarea[@name=\"{name}\"]");
        // The third click on a field marks all that is in it.
        let element = self.press(&path, 3).await;
        element.type_str(value).await.expect("typed");
    }

    /// Clicks as a hand does, with no script in the page: scripts may be off.
    async fn press(&self, path: &str, clicks: u32) -> Element {
        let begun = Instant::now();
        loop {
            for element in self.page.find_xpaths(path).await.unwrap_or_default() {
                let node = element.backend_node_id;
                let scroll = ScrollIntoViewIfNeededParams::builder().backend_node_id(node).build();
                let seen = self.page.execute(scroll).await.is_ok();
                let point = element.clickable_point().await.ok().filter(|_| seen);
                let Some(point) = point else { continue };
                let options = ClickOptions::builder().click_count(clicks).build();
                if self.page.click_with(point, options).await.is_ok() {
                    return element;
                }
            }
            let (url, text) = (self.url().await, self.text().await);
            assert!(begun.elapsed() < PATIENCE, "{path} is not on {url}: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the page says this.
    pub async fn must_say(&self, what: &str) {
        let begun = Instant::now();
        loop {
            let text = self.text().await;
            if text.contains(what) {
                return;
            }
            let url = self.url().await;
            assert!(begun.elapsed() < PATIENCE, "“{what}” is not on {url}: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until the address contains this.
    pub async fn must_be_at(&self, what: &str) {
        let begun = Instant::now();
        loop {
            let url = self.url().await;
            if url.contains(what) {
                return;
            }
            let text = self.text().await;
            assert!(begun.elapsed() < PATIENCE, "{url} is not at {what}: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Everything one can read on the page, white space folded.
    pub async fn text(&self) -> String {
        let html = self.html().await.unwrap_or_default();
        let page = tests::Page {
            url: url::Url::parse("http://here/").expect("an address"),
            status: 200,
            html,
        };
        page.text()
    }

    /// Where the tab is.
    pub async fn url(&self) -> String {
        self.page.url().await.ok().flatten().unwrap_or_default()
    }

    /// Closes the browser.
    pub async fn close(mut self) {
        self.chromium.close().await.expect("closed");
        self.chromium.wait().await.expect("gone");
        self.handler.abort();
    }

    /// The document as it stands, asked of the browser and not of the page.
    async fn html(&self) -> Option<String> {
        let document = self.page.get_document().await.ok()?;
        let outer = GetOuterHtmlParams::builder().node_id(document.node_id).build();
        Some(self.page.execute(outer).await.ok()?.result.outer_html)
    }
}

/// Chromium as Debian installs it, or where `CHROMIUM` says.
fn executable() -> PathBuf {
    let named = std::env::var("CHROMIUM").map(PathBuf::from).ok();
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    let found = named.or_else(|| usual.iter().map(PathBuf::from).find(|path| path.exists()));
    found.expect("a browser: apt-get install chromium, or set CHROMIUM to its path")
}
