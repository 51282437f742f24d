//! A page as a person without JavaScript sees it: text, links and forms.

use reqwest::Url;
use scraper::{ElementRef, Html, Selector};

/// What came back from a visit or a post, after redirects.
#[derive(Debug, Clone)]
pub struct Page {
    /// Where it ended.
    pub url: Url,
    /// The status.
    pub status: u16,
    /// The HTML.
    pub html: String,
}

/// A form of a page, with what its fields hold.
#[derive(Debug, Clone)]
pub struct Form {
    /// Where it goes, as written.
    pub action: String,
    /// Whether it is posted.
    pub post: bool,
    /// Names and values, hidden ones too.
    pub fields: Vec<(String, String)>,
    /// Names and values of its buttons: the one that is pressed is sent, too.
    pub buttons: Vec<(String, String)>,
}

impl Page {
    /// Everything one can read on it, white space folded.
    pub fn text(&self) -> String {
        let html = Html::parse_document(&self.html);
        let body = Selector::parse("body").expect("a selector");
        let words = html.select(&body).flat_map(|body| body.text().collect::<Vec<_>>());
        let words: Vec<String> = words.map(str::to_owned).collect();
        words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether it says this.
    pub fn says(&self, what: &str) -> bool {
        self.text().contains(what)
    }

    /// Fails with the page's text unless it says this.
    #[track_caller]
    pub fn must_say(&self, what: &str) {
        assert!(
            self.says(what),
            "“{what}” is not on {} ({}): {}",
            self.url,
            self.status,
            self.text()
        );
    }

    /// Every form.
    pub fn forms(&self) -> Vec<Form> {
        let html = Html::parse_document(&self.html);
        let forms = Selector::parse("form").expect("a selector");
        html.select(&forms).map(read_form).collect()
    }

    /// The form whose action contains this.
    #[track_caller]
    pub fn form(&self, action: &str) -> Form {
        let forms = self.forms();
        let found = forms.iter().find(|form| form.action.contains(action)).cloned();
        let actions: Vec<&str> = forms.iter().map(|form| form.action.as_str()).collect();
        found.unwrap_or_else(|| {
            panic!("no form “{action}” on {} among {actions:?}: {}", self.url, self.text())
        })
    }

    /// The address of the link that says this.
    pub fn link(&self, says: &str) -> Option<String> {
        let html = Html::parse_document(&self.html);
        let links = Selector::parse("a[href]").expect("a selector");
        let says = |link: &ElementRef| link.text().collect::<String>().contains(says);
        let link = html.select(&links).find(says)?;
        link.value().attr("href").map(str::to_owned)
    }

    /// The text of the first element that this CSS selector finds.
    pub fn find(&self, selector: &str) -> Option<String> {
        let html = Html::parse_document(&self.html);
        let selector = Selector::parse(selector).expect("a selector");
        let element = html.select(&selector).next()?;
        Some(element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl Form {
    /// With this field set.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With the button pressed that sends this value, if the form has it.
    pub fn pressed(self, value: &str) -> Option<Self> {
        let button = self.buttons.iter().find(|(_, sends)| sends == value)?.clone();
        Some(self.with(&button.0, &button.1))
    }

    /// What a field holds.
    pub fn value(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }
}

fn read_form(form: ElementRef) -> Form {
    let attribute = |name| form.value().attr(name).unwrap_or_default().to_owned();
    let inputs = Selector::parse("input[name], select[name], textarea[name]").expect("a selector");
    let mut fields = Vec::new();
    for input in form.select(&inputs) {
        let element = input.value();
        let name = element.attr("name").unwrap_or_default().to_owned();
        let kind = element.attr("type").unwrap_or_default();
        let choice = matches!(kind, "radio" | "checkbox");
        if choice && element.attr("checked").is_none() || kind == "submit" {
            continue;
        }
        let value = match element.name() {
            "textarea" => input.text().collect(),
            "select" => chosen(input),
            _ if choice => element.attr("value").unwrap_or("on").to_owned(),
            _ => element.attr("value").unwrap_or_default().to_owned(),
        };
        fields.push((name, value));
    }
    let named = Selector::parse("button[name]").expect("a selector");
    let buttons = form.select(&named).map(|button| {
        let of = |name| button.value().attr(name).unwrap_or_default().to_owned();
        (of("name"), of("value"))
    });
    let post = attribute("method").eq_ignore_ascii_case("post");
    Form { action: attribute("action"), post, fields, buttons: buttons.collect() }
}

fn chosen(select: ElementRef) -> String {
    let options = Selector::parse("option").expect("a selector");
    let mut all = select.select(&options);
    let picked = all.clone().find(|option| option.value().attr("selected").is_some());
    let option = picked.or_else(|| all.next());
    option.and_then(|option| option.value().attr("value")).unwrap_or_default().to_owned()
}
