use zibrato::count_me;

#[count_me]
#[unsafe(naked)]
extern "C" fn measured() {
    core::arch::naked_asm!("ret")
}

fn main() {}
