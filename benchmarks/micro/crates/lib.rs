// SPDX-License-Identifier: MIT
//
// Bounded channels of crates, as the C functions that stores.hpp declares. A channel lives as long as the process.

macro_rules! channel {
    ($type:ident, $crate_name:ident, $new:ident, $push:ident, $pop:ident, $try_push:ident, $try_pop:ident) => {
        pub struct $type {
            sender: $crate_name::Sender<i32>,
            receiver: $crate_name::Receiver<i32>,
        }

        #[no_mangle]
        pub extern "C" fn $new(capacity: usize) -> &'static $type {
            let (sender, receiver) = $crate_name::bounded(capacity);
            Box::leak(Box::new($type { sender, receiver }))
        }

        #[no_mangle]
        pub extern "C" fn $push(channel: &$type, value: i32) {
            channel.sender.send(value).unwrap()
        }

        #[no_mangle]
        pub extern "C" fn $pop(channel: &$type) -> i32 {
            channel.receiver.recv().unwrap()
        }

        #[no_mangle]
        pub extern "C" fn $try_push(channel: &$type, value: i32) -> bool {
            channel.sender.try_send(value).is_ok()
        }

        #[no_mangle]
        pub extern "C" fn $try_pop(channel: &$type, value: &mut i32) -> bool {
            channel.receiver.try_recv().map(|popped| *value = popped).is_ok()
        }
    };
}

channel!(Flume, flume, flume_new, flume_push, flume_pop, flume_try_push, flume_try_pop);
channel!(
    Crossbeam,
    crossbeam_channel,
    crossbeam_new,
    crossbeam_push,
    crossbeam_pop,
    crossbeam_try_push,
    crossbeam_try_pop
);
