//! Methods of many shapes, each of which triggers a lint.
//!
//! The marks are those of `functions.rs`, and `impl`. The two are compiled as one file.

/// A type.
pub struct Public(u32, u32);
/// Errors.
pub struct Big([u8; 400]);

//@ impl
impl Public {
    //@ f
    pub fn new() -> Public { Public(1, 2) }
    //@ f
    fn no_self(&self) -> u32 { 3 }
    //@ r
    fn no_self_result(&self) -> Option<u32> { None }
    //@ f
    fn add(self, other: Self) -> Self { Public(self.0 + other.0, 2) }
    //@ f
    pub fn eq(&self, other: &Self) -> bool { self.0 == other.0 }
    //@ f
    pub fn next(&mut self) -> Option<u32> { self.0 += 1; None }
    //@ f
    pub fn from_str(s: &str) -> Self { Public(s.len() as u32, 2) }
    //@ r
    fn neg(self) -> Option<u32> { self.0.checked_sub(self.1) }
    //@ f
    fn to_thing(self) -> u32 { self.0 }
    //@ f
    fn into_thing(&self) -> u32 { self.0 }
    //@ f
    fn is_thing(self) -> bool { self.0 == 1 }
    //@ f
    pub fn to_string(&self) -> String { String::new() }
    //@ f
    pub fn len(&self) -> usize { self.0 as usize }
    //@ f
    pub fn iter(&self) -> std::slice::Iter<'_, u32> { [].iter() }
    //@ f
    fn left(&self) -> &u32 { &self.1 }
    //@ f
    fn right(&self) -> &u32 { &self.1 }
    //@ f
    fn first(&self) -> u32 { self.1 }
    //@ f
    fn set(self: &mut Self, n: u32) -> &mut Self { self.0 = n; self }
    //@ a
    async fn later(&self) -> u32 { self.0 }
    //@ ar
    async fn later_result(&self) -> Result<u32, Big> { std::future::ready(()).await; Err(Big([0; 400])) }
    //@ r
    fn big(&self) -> Result<u32, Big> { Err(Big([0; 400])) }
    //@ f
    fn mutating(&mut self) -> u32 { self.0 }
    //@ f
    fn generic<T: Clone + Clone>(&self, t: T) -> T { t.clone() }
    //@ f hidden
    fn rec(&self, other: u32) -> u32 { self.rec(other) }
}
/// A trait.
pub trait Trait {
    /// Default.
    fn big(&self) -> Result<u32, Big>;
    //@ r
    /// Default.
    fn given(&self, a: String) -> Result<u32, Big> { Err(Big([0; 400])) }
    //@ f
    /// Default.
    fn plain(&self, text: String, n: &u8) -> usize { text.len() }
    //@ f
    /// Default.
    fn renamed(&self, right: u32) -> u32 { right }
    /// Default.
    fn static_(n: u32) -> String;
}
//@ impl
impl Trait for Public {
    //@ r
    fn big(&self) -> Result<u32, Big> { Err(Big([0; 400])) }
    //@ r
    fn given(&self, a: String) -> Result<u32, Big> { return Err(Big([0; 400])); }
    //@ f
    fn plain(&self, text: String, n: &u8) -> usize { text.len() }
    //@ f
    fn renamed(&self, wrong: u32) -> u32 { wrong }
    //@ f
    fn static_(n: u32) -> String { String::new() }
}
//@ impl
impl PartialEq for Big {
    //@ f
    fn eq(&self, other: &Self) -> bool { self.0 == other.0 }
    //@ f
    fn ne(&self, other: &Self) -> bool { self.0 != other.0 }
}
impl Eq for Big {}
//@ impl
impl PartialOrd for Big {
    //@ r
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> { self.0.partial_cmp(&other.0) }
}
//@ impl
impl Ord for Big {
    //@ f
    fn cmp(&self, other: &Self) -> std::cmp::Ordering { self.0.cmp(&other.0) }
}
//@ impl
impl std::hash::Hash for Big {
    //@ f
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) { self.0.hash(state) }
}
impl Copy for Big {}
//@ impl
impl Clone for Big {
    //@ f
    fn clone(&self) -> Self { Big(self.0) }
    //@ f
    fn clone_from(&mut self, source: &Self) { self.0 = source.0; }
}
/// Canonical.
#[derive(PartialEq, Eq)]
pub struct Canon(u32);
//@ impl
impl PartialOrd for Canon {
    //@ r
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> { Some(self.cmp(other)) }
}
//@ impl
impl Ord for Canon {
    //@ f
    fn cmp(&self, other: &Self) -> std::cmp::Ordering { self.0.cmp(&other.0) }
}
impl Copy for Canon {}
//@ impl
impl Clone for Canon {
    //@ f
    fn clone(&self) -> Self { *self }
}
//@ impl
impl Default for Public {
    //@ f
    fn default() -> Self { Public(0, 0) }
}
//@ impl
impl Drop for Canon2 {
    //@ f
    fn drop(&mut self) { }
}
struct Canon2(u32);
//@ impl
impl std::fmt::Debug for Public {
    //@ r
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result { f.debug_struct("Public").field("a", &self.0).finish() }
}
//@ impl
impl std::fmt::Display for Public {
    //@ r
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&format!("{}", self)) }
}
//@ impl
impl std::fmt::Display for Canon {
    //@ r
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { return write!(f, "{}", self.0); }
}
struct Named { left: u32, right: u32 }
//@ impl
impl Named {
    //@ f
    fn left(&self) -> u32 { self.right }
    //@ f
    fn right(&self) -> &u32 { &self.left }
    //@ f
    fn set(&mut self, left: u32) { self.left = left; }
    //@ f
    fn with(mut self, left: u32) -> Self { self.left = left; self }
    //@ r
    fn with_result(mut self, left: u32) -> Result<Self, String> { self.left = left; Ok(self) }
    //@ f
    fn mut_unused(mut self) -> Self { self }
    //@ f hidden
    fn reassigned(mut self: Box<Self>, mut other: Box<Self>) -> Box<Self> { other = self; other }
    //@ r
    fn try_left(&self) -> Option<u32> { Some(self.right) }
    //@ f
    fn inline_format(left: u32) -> String { format!("{left}") }
}
//@ f
fn many_unused(aa: String, bb: &str, (cc, dd): (u8, u8), Named { left, right: rr }: Named) -> String { let ee = aa; let mut ff = 3; ff = 4; ee }
//@ r hidden
fn many_unused_result(mut aa: String, bb: &str, (cc, mut dd): (u8, u8), Named { left, right: rr }: Named) -> Option<String> { aa = String::new(); dd = 3; let ee = bb; let mut ff = 3; ff = 4; None }
//@ ar hidden
async fn many_unused_async(mut aa: String, bb: &str, (cc, mut dd): (u8, u8), Named { left, right: rr }: Named) -> Option<String> { aa = String::new(); dd = 3; let ee = bb; let mut ff = 3; ff = 4; std::future::ready(()).await; None }
//@ ar
async fn tail_await(m: &Mutex<u32>) -> Option<u32> { let g = String::new(); let r = large_future([0; 20000]).await; match droppy(&g).await.get() { Some(n) => Some(n + r as u32), None => None } }
struct Droppy(u32);
impl Drop for Droppy { fn drop(&mut self) { println!("x") } }
impl Droppy { fn get(&self) -> Option<u32> { Some(self.0) } }
async fn droppy(s: &str) -> Droppy { Droppy(s.len() as u32) }
//@ f
fn tail_droppy(n: u32) -> u32 { let d = Droppy(n); Droppy(n).0 }
//@ r
fn tail_droppy_result(n: u32) -> Option<u32> { let d = Droppy(n); Droppy(n).get() }
//@ impl
impl Into<u64> for Public {
    //@ f
    fn into(self) -> u64 { self.0 as u64 }
}
//@ impl
impl From<String> for Canon {
    //@ f
    fn from(s: String) -> Self { Canon(s.parse().unwrap()) }
}
//@ impl
impl Iterator for Canon2 {
    type Item = u32;
    //@ r
    fn next(&mut self) -> Option<u32> { self.0 += 1; return Some(self.0); }
}
//@ impl
impl std::ops::Add for Canon {
    type Output = Canon;
    //@ f
    fn add(self, rhs: Canon) -> Canon { Canon(self.0 - rhs.0) }
}
//@ impl
impl std::ops::AddAssign for Canon {
    //@ f
    fn add_assign(&mut self, rhs: Canon) { *self = Canon(self.0 + rhs.0); }
}
//@ impl
impl std::convert::TryFrom<u8> for Canon {
    type Error = Big;
    //@ r
    fn try_from(n: u8) -> Result<Self, Self::Error> { if n == 1 { Err(Big([0; 400])) } else { Ok(Canon(n as u32)) } }
}
//@ impl
impl std::str::FromStr for Canon {
    type Err = Big;
    //@ r
    fn from_str(s: &str) -> Result<Self, Big> { s.parse().map(Canon).map_err(|_| Big([0; 400])) }
}
struct Never2;
//@ impl
impl std::convert::TryFrom<u8> for Never2 {
    type Error = std::convert::Infallible;
    //@ r
    fn try_from(n: u8) -> Result<Self, Self::Error> { Ok(Never2) }
}
