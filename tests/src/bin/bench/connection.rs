//! A lean HTTP/1.1 connection: kept open, one request at a time, reading no more of an answer than
//! it must, because the load shares its processors with what is measured. Whatever is not a 200 is
//! an error.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
        Ok(Self { stream, read: Vec::with_capacity(8 * 1024) })
    }

    /// Sends a request and reads the answer to its end. Answers the body where its length was told,
    /// else nothing.
    pub async fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.read.clear();
        self.stream.write_all(request).await?;
        let head_end = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let (good, length) = read_head(&self.read[..head_end])?;
        let body_end = match length {
            Length::Known(length) => {
                while self.read.len() < head_end + length {
                    self.more().await?;
                }
                head_end + length
            }
            Length::Chunked => {
                self.read.drain(..head_end);
                while self.chunk().await? > 0 {}
                return if good { Ok(&[]) } else { bail!("a page was not answered with 200") };
            }
        };
        if !good {
            bail!("not a 200: {}", String::from_utf8_lossy(&self.read));
        }
        Ok(&self.read[head_end..body_end])
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

/// Whether it is a 200, and how long the body is.
fn read_head(head: &[u8]) -> Result<(bool, Length)> {
    let good = head.get(9..12) == Some(b"200");
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        if let Some(value) = value_of(line, b"content-length:") {
            let length = std::str::from_utf8(value)?.trim().parse()?;
            return Ok((good, Length::Known(length)));
        }
        if value_of(line, b"transfer-encoding:").is_some() {
            return Ok((good, Length::Chunked));
        }
    }
    Ok((good, Length::Known(0)))
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, value) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(value)
}

/// Where `sought` begins.
pub fn find(bytes: &[u8], sought: &[u8]) -> Option<usize> {
    bytes.windows(sought.len()).position(|window| window == sought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_are_read_to_their_end_and_only_a_200_is_good() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a visitor");
            let known = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                           3\r\nabc\r\n0\r\n\r\n";
            let refused = "HTTP/1.1 402 No\r\ncontent-length: 4\r\n\r\npoor";
            for answer in [known, chunked, known, refused] {
                let mut asked = [0; 512];
                let read = stream.read(&mut asked).await.expect("a request");
                assert!(read > 0);
                stream.write_all(answer.as_bytes()).await.expect("answered");
            }
        };
        let visitor = async {
            let mut connection = Connection::open(&address).await.expect("connected");
            for expected in ["ok", "", "ok"] {
                let body = connection.ask(b"GET / HTTP/1.1\r\n\r\n").await.expect("answered");
                assert_eq!(body, expected.as_bytes());
            }
            let refused = connection.ask(b"GET / HTTP/1.1\r\n\r\n").await;
            let message = refused.expect_err("a refusal").to_string();
            assert!(message.contains("402 No") && message.contains("poor"), "{message}");
        };
        tokio::join!(server, visitor);
    }
}
