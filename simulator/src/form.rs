//! Decodes Stripe's form encoding: `a[b][0][c]=v`, `a[]=v`, `a[0]=v`, raw or percent-encoded.
//!
//! It yields a tree of texts; what type each text should have is the schema's business.

use percent_encoding::percent_decode_str;

/// A decoded value: a text or named children in the order they came.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// One value as it was sent.
    Text(String),
    /// Children by key; a list has the keys 0, 1, 2 …
    Children(Vec<(String, Node)>),
}

impl Node {
    /// An empty set of children.
    pub fn empty() -> Node {
        Node::Children(Vec::new())
    }

    /// The child with this key.
    pub fn child(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Children(all) => all.iter().find(|(k, _)| k == key).map(|(_, node)| node),
            Node::Text(_) => None,
        }
    }

    /// Adds the other tree's children to this one (query and body of one request).
    pub fn merge(&mut self, other: Node) {
        if let (Node::Children(mine), Node::Children(theirs)) = (self, other) {
            mine.extend(theirs);
        }
    }
}

/// Decodes a query string or a form body.
pub fn decode(text: &str) -> Node {
    let mut root = Node::empty();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let keys = split_key(&unescape(key));
        place(&mut root, &keys, unescape(value));
    }
    root
}

fn unescape(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}

/// `a[b][]` becomes `a`, `b`, and the empty key.
fn split_key(key: &str) -> Vec<String> {
    let Some(open) = key.find('[') else {
        return vec![key.to_owned()];
    };
    let mut keys = vec![key[..open].to_owned()];
    for part in key[open + 1..].split('[') {
        keys.push(part.strip_suffix(']').unwrap_or(part).to_owned());
    }
    keys
}

fn place(node: &mut Node, keys: &[String], value: String) {
    let Some((key, rest)) = keys.split_first() else {
        *node = Node::Text(value);
        return;
    };
    if matches!(node, Node::Text(_)) {
        *node = Node::empty();
    }
    let Node::Children(children) = node else {
        return;
    };
    let key = if key.is_empty() { open_index(children, rest) } else { key.clone() };
    let position = match children.iter().position(|(k, _)| *k == key) {
        Some(position) => position,
        None => {
            children.push((key, Node::empty()));
            children.len() - 1
        }
    };
    place(&mut children[position].1, rest, value);
}

/// `a[][x]=1&a[][y]=2` is one entry, a repeated `a[][x]` starts the next one.
fn open_index(children: &[(String, Node)], rest: &[String]) -> String {
    let last = children.last().filter(|_| !rest.is_empty());
    match last {
        Some((key, node)) if node.child(&rest[0]).is_none() => key.clone(),
        _ => children.len().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Node {
        Node::Text(value.to_owned())
    }

    fn children(all: Vec<(&str, Node)>) -> Node {
        Node::Children(all.into_iter().map(|(k, n)| (k.to_owned(), n)).collect())
    }

    #[test]
    fn forms_decode_as_stripe_reads_them() {
        let table = [
            ("", children(vec![])),
            ("a=1", children(vec![("a", text("1"))])),
            (
                "a[b][c]=x+y",
                children(vec![("a", children(vec![("b", children(vec![("c", text("x y"))]))]))]),
            ),
            ("a%5Bb%5D=%C3%A9", children(vec![("a", children(vec![("b", text("é"))]))])),
            (
                "a[]=1&a[]=2",
                children(vec![("a", children(vec![("0", text("1")), ("1", text("2"))]))]),
            ),
            (
                "a[0]=1&a[1]=2",
                children(vec![("a", children(vec![("0", text("1")), ("1", text("2"))]))]),
            ),
            (
                "i[][p]=1&i[][q]=2&i[][p]=3",
                children(vec![(
                    "i",
                    children(vec![
                        ("0", children(vec![("p", text("1")), ("q", text("2"))])),
                        ("1", children(vec![("p", text("3"))])),
                    ]),
                )]),
            ),
            (
                "metadata[limit.seats]=5",
                children(vec![("metadata", children(vec![("limit.seats", text("5"))]))]),
            ),
            ("metadata=", children(vec![("metadata", text(""))])),
        ];
        for (input, expected) in table {
            assert_eq!(decode(input), expected, "{input}");
        }
    }
}
