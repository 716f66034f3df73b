//! Whatever can be displayed can be the value of a tag, wherever it comes from.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use zibrato::{TagValue, count, count_me, gauge, time, time_me};

#[derive(TagValue)]
enum Method {
    Get,
}

/// Few values, and it can be displayed, too: the values win.
#[derive(TagValue, Clone, Copy)]
enum Both {
    One,
}

impl Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("displayed")
    }
}

#[count_me(name = "a", tags(method = method, user = user, n = n + 1))]
#[time_me(name = "b", tags(user = &*user))]
fn annotated(method: &Method, user: String, n: usize) -> String {
    user
}

#[time_me(name = "c", tags(value = value, borrowed = &value))]
async fn generic<T: Display + Send>(value: T) -> T {
    value
}

#[count_me(name = "d", on = "err", tags(path = path.to_owned()))]
fn fallible(path: &str) -> Option<()> {
    None
}

struct Shard(u8);

impl Shard {
    #[count_me(name = "e", tags(shard = self.0), value = self.0)]
    fn count(&self) {}
}

fn main() {
    let capture = zibrato::testing::capture();
    let text = String::from("text");
    count!("info", "f", tags(a = text, b = &text, c = &*text, d = 'x', e = -1, f = 1.5, g = true));
    gauge!("info", "each", 1, tags("each" = true, "max_series" = 5));
    gauge!("info", "g", 1, tags(a = Arc::<str>::from("arc"), b = Rc::<str>::from("rc"), c = Cow::Borrowed("cow")));
    drop(time!("info", "h", tags(a = Ipv4Addr::from([127, 0, 0, 1]), b = format_args!("{}-{}", 1, 2), c = Both::One)));
    annotated(&Method::Get, text, 6);
    let mut future = std::pin::pin!(generic(0.5));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_ready());
    Shard(7).count();
    assert!(fallible("/").is_none());
    let tags = |name: &str| {
        let all = capture.measurements();
        all.iter().find(|m| m.name.as_str() == name).unwrap().tags.to_string()
    };
    assert_eq!(tags("a"), "method=get,n=7,user=text");
    assert_eq!(tags("b"), "user=text");
    assert_eq!(tags("c"), "borrowed=0.5,value=0.5");
    assert_eq!(tags("d"), "path=/");
    assert_eq!(tags("e"), "shard=7");
    assert_eq!(tags("f"), "a=text,b=text,c=text,d=x,e=-1,f=1.5,g=true");
    assert_eq!(tags("g"), "a=arc,b=rc,c=cow");
    assert_eq!(tags("h"), "a=127.0.0.1,b=1-2,c=one");
}
