;; A plug-in that returns, but what it says can't be followed where the request names a user. By the last digit of the user's name: 0 to 2 a
;; cluster that there is not, 3 and 4 a weight of 7, 5 and 6 a weight that is no number, all others a cluster's name outside of its memory.
(module
  (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
  (import "squall_route_1" "target" (func $target (param i32 i32 f64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-user-id")
  (data (i32.const 16) "svc-v2")
  (data (i32.const 24) "svc-none")
  (func (export "route")
    (local $length i32)
    (local $digit i32)
    (local.set $length (call $header (i32.const 0) (i32.const 9) (i32.const 64) (i32.const 256)))
    (if (i32.lt_s (local.get $length) (i32.const 1)) (then (return)))
    (if (i32.gt_s (local.get $length) (i32.const 256)) (then (return)))
    (local.set $digit
      (i32.sub
        (i32.load8_u (i32.add (i32.const 63) (local.get $length)))
        (i32.const 48)))
    (if (i32.le_u (local.get $digit) (i32.const 2))
      (then (call $target (i32.const 24) (i32.const 8) (f64.const 0.5)) (return)))
    (if (i32.le_u (local.get $digit) (i32.const 4))
      (then (call $target (i32.const 16) (i32.const 6) (f64.const 7)) (return)))
    (if (i32.le_u (local.get $digit) (i32.const 6))
      (then (call $target (i32.const 16) (i32.const 6) (f64.const nan)) (return)))
    (call $target (i32.const -16) (i32.const 32) (f64.const 0.5))))
