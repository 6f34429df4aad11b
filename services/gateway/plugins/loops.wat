;; A plug-in with a defect that a first try does not find: it never returns where the request names a user.
(module
  (import "squall_route_1" "header" (func $header (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-user-id")
  (func (export "route")
    (if (i32.ge_s (call $header (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 0)) (i32.const 0))
      (then (loop $forever (br $forever))))))
