//! A lean HTTP/1.1 client: one connection, kept open, one request at a time.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A request, ready to be sent.
pub struct Request(Vec<u8>);

impl Request {
    /// A page, as a browser asks for it.
    pub fn get(host: &str, path: &str) -> Self {
        let text = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\n\r\n");
        Self(text.into_bytes())
    }

    /// A call by a program.
    pub fn post(host: &str, path: &str, secret: &str, key: Option<&str>, body: &str) -> Self {
        let key = key.map(|key| format!("idempotency-key: {key}\r\n")).unwrap_or_default();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {secret}\r\n{key}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        Self(text.into_bytes())
    }
}

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// How the body's end is found.
enum Length {
    Known(usize),
    Chunked,
}

impl Connection {
    /// Connects to `host:port`.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("nobody listens")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and reads the answer to its end. Answers the status.
    pub async fn ask(&mut self, request: &Request) -> Result<u16> {
        self.stream.write_all(&request.0).await?;
        let head_end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let (status, length) = read_head(&self.read[..head_end])?;
        self.read.drain(..head_end);
        match length {
            Length::Known(length) => {
                while self.read.len() < length {
                    self.more().await?;
                }
                self.read.drain(..length);
            }
            Length::Chunked => while self.chunk().await? > 0 {},
        }
        Ok(status)
    }

    /// Reads one chunk and tells its size; the last one is empty.
    async fn chunk(&mut self) -> Result<usize> {
        let line_end = loop {
            if let Some(at) = find(&self.read, b"\r\n") {
                break at;
            }
            self.more().await?;
        };
        let line = std::str::from_utf8(&self.read[..line_end])?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).context("a chunk without a size")?;
        let end = line_end + 2 + size + 2;
        while self.read.len() < end {
            self.more().await?;
        }
        self.read.drain(..end);
        Ok(size)
    }

    async fn more(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            bail!("the connection was closed in the middle of an answer");
        }
        Ok(())
    }
}

fn read_head(head: &[u8]) -> Result<(u16, Length)> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?;
    let mut length = Length::Known(0);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = Length::Known(value.trim().parse()?),
            "transfer-encoding" => length = Length::Chunked,
            _ => {}
        }
    }
    Ok((status.parse()?, length))
}

fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_of_both_kinds_are_read_to_their_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a visitor");
            let known = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let chunked = "HTTP/1.1 402 No\r\nTransfer-Encoding: chunked\r\n\r\n\
                           3\r\nabc\r\n0\r\n\r\n";
            for answer in [known, chunked, known] {
                let mut asked = [0; 512];
                let read = stream.read(&mut asked).await.expect("a request");
                assert!(read > 0);
                stream.write_all(answer.as_bytes()).await.expect("answered");
            }
        };
        let visitor = async {
            let mut connection = Connection::open(&address).await.expect("connected");
            let mut statuses = Vec::new();
            for _ in 0..3 {
                let request = Request::get(&address, "/");
                statuses.push(connection.ask(&request).await.expect("answered"));
            }
            assert_eq!(statuses, [200, 402, 200]);
            assert!(connection.read.is_empty());
        };
        tokio::join!(server, visitor);
    }
}
