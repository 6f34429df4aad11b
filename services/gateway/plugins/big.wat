;; A plug-in that leaks: 64 KiB for each request that names a user, until it may have no more.
(module
  (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-user-id")
  (func (export "route")
    (if (i32.ge_s (call $header (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)) (i32.const 0))
      (then (drop (memory.grow (i32.const 1)))))))
