;; Gray routing and a canary release: whoever asks for the gray environment (x-env: gray) gets svc-v2, and so do 35 % of all other users
;; where the gateway's own region is shanghai.
;;
;; The interface is described in src/plugin/abi.rs.
(module
  (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
  (import "squall_route_1" "metadata" (func $metadata (param i32 i32 i32 i32) (result i32)))
  (import "squall_route_1" "target" (func $target (param i32 i32 f64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-env")
  (data (i32.const 8) "gray")
  (data (i32.const 16) "region")
  (data (i32.const 24) "shanghai")
  (data (i32.const 32) "svc-v2")
  ;; Values are read to here.
  (global $value i32 (i32.const 64))
  (global $room i32 (i32.const 32))

  ;; Whether the value, of $found bytes, is the text of $length bytes at $text.
  (func $is (param $found i32) (param $text i32) (param $length i32) (result i32)
    (local $at i32)
    (if (i32.ne (local.get $found) (local.get $length)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.lt_u (local.get $at) (local.get $length))
        (then
          (if (i32.ne
                (i32.load8_u (i32.add (global.get $value) (local.get $at)))
                (i32.load8_u (i32.add (local.get $text) (local.get $at))))
            (then (return (i32.const 0))))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next))))
    (i32.const 1))

  (func (export "route")
    (if (call $is
          (call $header (i32.const 0) (i32.const 5) (global.get $value) (global.get $room))
          (i32.const 8) (i32.const 4))
      (then
        (call $target (i32.const 32) (i32.const 6) (f64.const 1))
        (return)))
    (if (call $is
          (call $metadata (i32.const 16) (i32.const 6) (global.get $value) (global.get $room))
          (i32.const 24) (i32.const 8))
      (then (call $target (i32.const 32) (i32.const 6) (f64.const 0.35))))))
