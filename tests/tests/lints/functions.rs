//! Functions of many shapes, each of which triggers a lint.
//!
//! At each `//@`, the test inserts an attribute: `f` marks a function, `r` a function that returns
//! a `Result` or an `Option`, `a` an async function, `ar` both. Lints marked `hidden` are no longer
//! found by rustc inside a closure, but by Clippy.
//! finds inside a closure; Clippy does.
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::cell::RefCell;
use std::sync::Mutex; use zibrato as _;

//@ f
fn unused_argument(a: u32) {}
//@ f
fn unused_mut(mut a: u32) -> u32 { a }
//@ f hidden
fn assigned_never_read(mut a: u32) { a = 4; }
//@ f hidden
fn assigned_then_read(mut a: u32) -> u32 { a = 4; a }
//@ f
fn local_unused() { let x = 3; }
//@ f
fn unreachable_tail() -> u32 { return 3; #[allow(unused)] 4 }
//@ f
fn unreachable_stmt() { return; println!("x"); }
//@ f hidden
fn endless(n: u32) -> u32 { endless(n) }
//@ r hidden
fn endless_result(n: u32) -> Result<u32, String> { endless_result(n) }
//@ r
fn wraps(n: u32) -> Option<u32> { Some(n + 1) }
//@ r
fn wraps_result(n: u32) -> Result<u32, String> { if n > 3 { return Ok(4); } Ok(n) }
//@ f
fn by_value(text: String) -> usize { text.len() }
//@ r
fn by_value_result(text: String) -> Option<usize> { text.len().checked_sub(1) }
//@ f
fn large(a: [u8; 4096]) -> u8 { a[0] }
//@ f
fn needless(n: u32) -> u32 { return n; }
//@ r
fn needless_result(n: u32) -> Result<u32, String> { if n == 0 { return Err(String::new()) } return Ok(n); }
//@ f
fn needless_unit() { println!("x"); return; }
//@ a
async fn no_await(n: u32) -> u32 { n }
//@ ar
async fn no_await_result(n: u32) -> Result<u32, String> { n.checked_add(1).ok_or_else(String::new) }
//@ a
async fn needless_async(n: u32) -> u32 { std::future::ready(1).await; return n; }
//@ a
async fn yields_async() -> impl Future<Output = u32> { std::future::ready(()).await; std::future::ready(3) }
//@ a
async fn yields_block() -> impl Future<Output = u32> { std::future::ready(()).await; async { 3 } }
//@ a
async fn yields_named(x: std::future::Ready<u32>) -> std::future::Ready<u32> { std::future::ready(()).await; x }
//@ a
async fn lock_across(m: Mutex<u32>) -> u32 { let g = m.lock().unwrap(); std::future::ready(()).await; *g }
//@ a
async fn cell_across(m: RefCell<u32>) -> u32 { let g = m.borrow_mut(); std::future::ready(()).await; *g }
//@ a
async fn not_send(m: Rc<u32>) -> u32 { std::future::ready(()).await; *m }
//@ a
pub async fn pub_not_send(m: Rc<u32>) -> u32 { std::future::ready(()).await; *m }
//@ a
async fn large_future(a: [u8; 20000]) -> u8 { std::future::ready(()).await; a[1] }
//@ a
async fn awaits_large() -> u8 { large_future([0; 20000]).await }
//@ a
fn manual_async(n: u32) -> impl Future<Output = u32> { async move { n } }
//@ a
fn boxed_future(n: u32) -> Pin<Box<dyn Future<Output = u32>>> { Box::pin(async move { n }) }
//@ ar
fn boxed_future_result(n: u32) -> Pin<Box<dyn Future<Output = Result<u32, String>>>> { Box::pin(async move { return Ok(n); }) }
//@ f
fn let_return(n: u32) -> u32 { let a = n + 1; a }
//@ r
fn let_return_result(n: u32) -> Result<u32, String> { let a = Ok(n); a }
//@ r
fn needless_question(n: Result<u32, String>) -> Result<u32, String> { Ok(n?) }
//@ r
fn question(n: Option<u32>) -> Option<u32> { if n.is_none() { return None; } let a = n?; let b = match n { Some(b) => b, None => return None }; Some(a + b) }
//@ r
fn try_err(n: u32) -> Result<u32, String> { if n == 1 { Err(String::new())?; } Ok(n) }
//@ r
fn unit_err(n: u32) -> Result<u32, ()> { if n == 1 { return Err(()); } Ok(n) }
//@ r
pub fn pub_unit_err(n: u32) -> Result<u32, ()> { if n == 1 { return Err(()); } Ok(n) }
//@ r
fn large_err(n: u32) -> Result<u32, [u8; 500]> { if n == 1 { return Err([0; 500]); } Ok(n) }
//@ r
pub fn panics(n: Option<u32>) -> Result<u32, String> { let a = n.unwrap(); let b = n.expect("x"); assert!(a == b); if a == 1 { panic!("x"); } Ok(a) }
//@ f
pub fn panics_plain(n: Option<u32>) -> u32 { let a = n.unwrap(); if a == 1 { panic!("x"); } a }
//@ f
pub fn too_many(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8) -> u8 { a + b + c + d + e + f + g + h }
//@ f
fn bools(a: bool, b: bool, c: bool, d: bool) -> bool { a && b && c && d }
//@ f
fn type_params<T>(a: u32) -> u32 { a }
//@ r
fn type_params_result<T: Default>(a: u32) -> Option<u32> { a.checked_add(1) }
//@ f
fn lifetimes<'a>(a: u32) -> u32 { a }
//@ f
fn needless_lifetimes<'a>(a: &'a str) -> &'a str { a }
//@ r
fn needless_lifetimes_result<'a>(a: &'a str) -> Option<&'a str> { a.get(1..) }
//@ f
fn ptr_arg(a: &Vec<u32>, b: &String, c: &mut Vec<u32>) -> usize { c.clear(); a.len() + b.len() }
//@ r
fn ptr_arg_result(a: &Vec<u32>, b: &String) -> Option<usize> { a.len().checked_add(b.len()) }
//@ f
fn ref_mut(a: &mut u32) -> u32 { *a }
//@ r
fn ref_mut_result(a: &mut u32) -> Option<u32> { a.checked_add(1) }
//@ f
fn trivially(a: &u8, b: &Option<u32>) -> bool { *a == 1 && b.is_some() }
//@ f
fn boxed_local(a: Box<u32>) -> u32 { *a + 1 }
//@ f
fn option_option(a: Option<Option<u32>>) -> Option<Option<u32>> { a }
//@ f
fn complex(a: Vec<Vec<Box<dyn Fn(Option<Result<Vec<Box<(u32, u32, u32, u32)>>, String>>) -> u32>>>) -> usize { a.len() }
//@ f
fn item_after() -> u32 { let a = 3; fn inner() -> u32 { 4 } a + inner() }
//@ f
fn item_before() -> u32 { fn inner() -> u32 { 4 } let a = 3; a + inner() }
//@ r
fn item_after_result() -> Option<u32> { let a = 3; const B: u32 = 4; Some(a + B) }
//@ f
fn local_impl() -> u32 { struct Local; impl Local { fn get(&self) -> u32 { 3 } } impl Clone for Public { fn clone(&self) -> Self { Self(self.0, self.1) } } Local.get() }
//@ r
fn local_impl_late() -> Option<u32> { let a = 3u32; impl From<u32> for Public { fn from(n: u32) -> Self { Self(n, n) } } a.checked_add(1) }
//@ f
fn local_impl_split() -> u32 { struct Local; let a = 3; impl Local { fn get(&self) -> u32 { 3 } } Local.get() + a }
//@ r
fn local_impl_split_trait() -> Option<u32> { struct Local(u32); let a = 3; impl Clone for Local { fn clone(&self) -> Self { Self(self.0) } } Some(Local(a).clone().0) }
//@ f
fn local_impl_gen<T>(a: T) -> T { trait Own {} struct Local; let b = a; impl Own for Local {} impl<X> Own for Vec<X> {} impl From<Local> for Public { fn from(n: Local) -> Self { Self(1, 1) } } b }
//@ a
async fn local_impl_async() -> u32 { struct Local; std::future::ready(()).await; impl Local { fn get(&self) -> u32 { 3 } } impl Clone for Local { fn clone(&self) -> Self { Self } } Local.get() }
//@ f
fn local_macro() -> u32 { macro_rules! m { () => { 3 } } fn unused_inner() {} use std::collections::HashMap; const C: u32 = 1; static S: u32 = 4; let a = m!(); enum E { A } a + C + S }
//@ f
fn local_impl_mod() -> u32 { let a = 3; mod inner { pub struct T; } impl inner::T { fn get(&self) -> u32 { 3 } } inner::T.get() + a }
//@ f
fn single_chars(a: u32, b: u32, c: u32, d: u32, e: u32) -> u32 { let f = a; let g = b; let h = c; f + g + h + d + e }
//@ f
fn shadow(a: u32) -> u32 { let a = a + 1; let a = "x".len() as u32 + a; { let a = 5; a + 1 } }
//@ f
fn arithmetic(a: i32, b: i32) -> i32 { let c = a / b; (c << 3) - a * b + (a as u8 as i32) }
//@ r
fn arithmetic_result(a: i32, b: i32) -> Option<i32> { let c = a / b; Some((c << 3) - a * b + (a as i64 as i32)) }
//@ f
fn cast(a: u64) -> f32 { a as f32 }
//@ f
fn semicolon() { println!("x") }
//@ f
fn unit_value() { let x = println!("x"); x }
//@ f
fn unused_unit() -> () { println!("x") }
//@ f
fn redundant_clone() -> String { let s = String::new(); s.clone() }
//@ r
fn redundant_clone_result() -> Option<String> { let s = String::new(); Some(s.clone()) }
//@ f
fn loops(a: Vec<u32>) -> u32 { let mut n = 0; for i in 0..a.len() { n += a[i]; } loop { break; } n }
//@ r
fn loops_result(a: Vec<u32>) -> Option<u32> { let mut n = 0; for i in 0..a.len() { n += a[i]; } while let Some(x) = Some(n) { if x > 3 { return None; } n += 1; } Some(n) }
//@ f
fn infinite() { loop { println!("x"); } }
//@ f
fn never() -> ! { loop { std::thread::yield_now(); } }
//@ f
fn only_recursion(a: u32, b: u32) -> u32 { if a == 0 { 0 } else { only_recursion(a - 1, b) } }
//@ r
fn only_recursion_result(a: u32, b: u32) -> Option<u32> { if a == 0 { None } else { only_recursion_result(a - 1, b) } }
//@ f
fn underscore(_a: u32) -> u32 { _a + 1 }
//@ r
fn underscore_result(_a: u32, _guard: String) -> Option<u32> { let _x = _a; let _ = std::fs::read("x"); Some(_x) }
//@ f
fn let_underscore(m: &Mutex<u32>) { let _ = m.lock(); let _ = std::fs::read("x"); let _ = async { 3 }; }
//@ f
fn drop_things(a: &u32, b: u32) { drop(a); drop(b); std::mem::forget(a); }
//@ f
fn must_use(a: u32) -> u32 { a + 2 }
//@ f
pub fn must_use_pub(a: u32) -> u32 { a + 2 }
//@ f
#[must_use]
pub fn must_use_unit() {}
//@ r
#[must_use]
pub fn double_must_use() -> Result<u32, String> { Ok(3) }
//@ f
#[inline(always)]
pub fn inline_always() -> u32 { 3 }
//@ f
#[unsafe(no_mangle)]
pub fn mangled() -> u32 { 3 }
//@ f
#[deprecated]
pub fn deprecated() -> u32 { 3 }
//@ f
fn calls_deprecated() -> u32 { deprecated() }
//@ r
fn calls_deprecated_result() -> Option<u32> { deprecated().checked_add(1) }
//@ f
pub unsafe fn no_safety(a: *const u32) -> u32 { *a }
//@ r
pub unsafe fn no_safety_result(a: *const u32) -> Option<u32> { (*a).checked_add(1) }
//@ f
pub fn not_unsafe(a: *const u32) -> u32 { unsafe { *a } }
//@ r
fn unsafe_blocks(a: *const u32) -> Option<u32> { unsafe { Some(*a) } }
//@ f
pub extern "C" fn ffi(a: String) -> usize { a.len() }
//@ f
fn mut_from_ref(a: &u32) -> &mut u32 { unsafe { &mut *(a as *const u32 as *mut u32) } }
//@ f
fn impl_arg(a: impl Into<u32>) -> u32 { a.into() }
//@ f
fn impl_ret<'a>(a: &'a [u32]) -> impl Iterator<Item = &'a u32> + 'a { a.iter() }
//@ f
fn unnecessary_box() -> Box<u32> { Box::new(3) }
//@ f
fn string_lit() -> String { "abc".to_string() }
//@ f
fn dbg() { dbg!(3); todo!() }
//@ f
fn unimplemented() -> u32 { unimplemented!() }
//@ r
fn todo_result() -> Option<u32> { todo!() }
//@ f
fn default_numeric() { let a = 3; let b = 2.0; println!("{} {}", a, b); }
//@ r
fn default_numeric_result() -> Option<u8> { let a = 3; let b = 2.0; println!("{} {}", a, b); Some(3) }
//@ f
fn match_ref(a: &Option<u32>) -> u32 { match *a { Some(ref x) => *x, None => 0 } }
//@ r
fn match_ref_result(a: &Option<u32>) -> Option<u32> { match *a { Some(ref x) => Some(*x), None => None } }
//@ f
fn collapsible(a: bool, b: bool) -> u32 { if a { if b { return 1; } } if a == true { 1 } else { if b { 2 } else { 3 } } }
//@ f
fn significant(m: &Mutex<u32>) -> u32 { let g = m.lock().unwrap(); let n = *g + 1; println!("{n}"); n }
//@ r
fn significant_result(m: &Mutex<u32>) -> Option<u32> { let g = m.lock().unwrap(); let n = *g + 1; println!("{n}"); Some(n) }
//@ f
fn tail_drop(m: &Mutex<Vec<u32>>) -> usize { match m.lock().unwrap().len() { 3 => 3, n => n } }
//@ f
fn tail_temp() -> usize { let c = Mutex::new(vec![1]); let n = c.lock().unwrap().len(); n }
//@ f
fn stack() -> usize { let a = [0u8; 600_000]; a.len() }
//@ r
fn stack_result() -> Option<usize> { let a = [0u8; 600_000]; Some(a.len()) }
//@ f
fn braces() -> u32 { { 3 } }
//@ f
fn parens(a: u32) -> u32 { (a + 1) }
//@ r
fn parens_result(a: u32) -> Option<u32> { (Some(a + 1)) }
//@ f
fn parens_return(a: u32) -> u32 { return (a + 1); }
//@ f
fn pattern(Public(a, b): Public, (c, _): (u32, u32)) -> u32 { a + b + c }
//@ r
fn pattern_result(Public(a, b): Public, (c, d): (u32, u32)) -> Option<u32> { Some(a + b + c) }
//@ f
fn trivial_cast(a: u32) -> u32 { a as u32 }
//@ f
fn must_use_drop() { must_use_value(); Ok::<u32, String>(3); }
#[must_use]
fn must_use_value() -> u32 { 3 }
//@ r
fn must_use_drop_result() -> Option<u32> { must_use_value(); Err::<u32, String>(String::new()); None }
//@ f
fn closures(a: Vec<u32>) -> Vec<u32> { a.iter().map(|x| { return x + 1; }).filter(|x| is_big(x)).collect() }
fn is_big(x: &u32) -> bool { *x > 3 }
//@ r
fn closures_result(a: Vec<u32>) -> Option<Vec<u32>> { Some(a.iter().map(|x| { return x + 1; }).filter(|x| is_big(x)).collect()) }
//@ r
fn diverging(a: u32) -> Result<u32, String> { let x: u32 = return Ok(a); Ok(x) }
//@ r
fn std_paths() -> std::result::Result<u32, std::fmt::Error> { std::result::Result::Ok(3) }
//@ r
fn absolute() -> ::core::option::Option<u32> { ::core::option::Option::Some(3) }
//@ r
fn io() -> std::io::Result<usize> { use std::io::Read; let mut b = [0; 10]; std::fs::File::open("x")?.read(&mut b)?; Ok(3) }
//@ f
fn nonsnakeCase(Arg: u32) -> u32 { let Local = Arg; Local }
//@ f
#[expect(unused_variables)]
fn expects_unused(a: u32) {}
//@ r
#[allow(unused_variables)]
fn allows_unused(a: u32) -> Option<u32> { None }
//@ f
#[expect(dead_code)]
fn expects_dead() {}
//@ f
#[cfg_attr(debug_assertions, inline)]
pub fn conditional(#[cfg(unix)] a: u32, #[cfg(windows)] b: u32) -> u32 { a }
//@ f
fn long_lines(mut n: u32) -> u32 {
    #![allow(unused_parens)]
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    while n > 4 { if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 } }
    while n > 4 { if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 } }
    n
}
//@ r
fn long_result(mut n: u32) -> Result<u32, String> {
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 }
    while n > 4 { if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 } }
    while n > 4 { if n == 1 { n += 1; } else if n == 2 { n += 2; } else if n == 3 { n += 3 } else { n += 4 } }
    Ok(n)
}
//@ f
fn many_lines() {
    println!("1"); println!("1");
    println!("1");
    println!("1");
    println!("1");
    println!("1");
    println!("1");
    println!("1");
}
