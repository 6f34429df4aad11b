;; Names svc-v2 for 35 % of the users.
(module
  (import "squall_route_1" "target" (func $target (param i32 i32 f64)))
  (memory (export "memory") 1)
  (data (i32.const 0) "svc-v2")
  (func (export "route") (call $target (i32.const 0) (i32.const 6) (f64.const 0.35))))
