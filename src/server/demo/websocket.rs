//! The frames of RFC 6455 §5, as much as an echo needs: every data frame goes back as it came, a ping is answered, a
//! close ends it. No extensions, no fragments put together.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame that is echoed.
const MAX_PAYLOAD: u64 = 64 << 10;

const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// Echoes until the peer closes, or breaks the protocol.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> Result<()> {
    loop {
        let (first, payload) = read_frame(&mut stream).await?;
        match first & 0x0F {
            PING => write_frame(&mut stream, (first & 0xF0) | PONG, &payload).await?,
            PONG => {}
            CLOSE => {
                // §5.5.1: the close frame is answered with one.
                write_frame(&mut stream, first, &payload).await?;
                return stream.shutdown().await;
            }
            _ => write_frame(&mut stream, first, &payload).await?,
        }
    }
}

/// The first byte (FIN and opcode) and the unmasked payload.
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    let broken = |why: &str| Error::new(ErrorKind::InvalidData, why.to_owned());
    // §5.1: a client masks every frame.
    if second & 0x80 == 0 {
        return Err(broken("an unmasked frame"));
    }
    let length = match second & 0x7F {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    if length > MAX_PAYLOAD {
        return Err(broken("a frame that is too large"));
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first, payload))
}

async fn write_frame<S: AsyncWrite + Unpin>(stream: &mut S, first: u8, payload: &[u8]) -> Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => frame.push(short),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        let mut frame = vec![first];
        if payload.len() < 126 {
            frame.push(0x80 | u8::try_from(payload.len()).unwrap());
        } else {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[tokio::test]
    async fn frames_come_back_unmasked_until_the_close() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let long = vec![7; 300];
        let mut sent = Vec::new();
        // RFC 6455 §5.7: a masked "Hello" is 81 85 37 fa 21 3d 7f 9f 4d 51 58.
        sent.extend_from_slice(&[0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58]);
        sent.extend(masked(0x82, &long));
        sent.extend(masked(0x89, b"ping"));
        sent.extend(masked(0x88, &[0x03, 0xE8]));
        client.write_all(&sent).await.unwrap();
        echo(server).await.unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).await.unwrap();
        let mut wanted = b"\x81\x05Hello\x82\x7E\x01\x2C".to_vec();
        wanted.extend(&long);
        wanted.extend(b"\x8A\x04ping\x88\x02\x03\xE8");
        assert_eq!(back, wanted);
    }

    #[tokio::test]
    async fn an_unmasked_or_huge_frame_ends_it() {
        for bad in [&[0x81, 0x01, b'x'][..], &[0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1]] {
            let (mut client, server) = tokio::io::duplex(1_024);
            client.write_all(bad).await.unwrap();
            assert_eq!(echo(server).await.unwrap_err().kind(), ErrorKind::InvalidData);
        }
    }
}
