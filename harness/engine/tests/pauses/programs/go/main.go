// Stops its world for long, again and again, and says by its own account for how long.
//
// A goroutine loops without a call, so without asynchronous preemption (GODEBUG=asyncpreemptoff=1) whoever wants to stop the
// world waits for the loop to be over. Only the runtime is imported, so that building takes seconds.
package main

import "runtime"

const cycles = 80

var (
	kept  [][]byte
	total uint64
)

func hold() {
	for round := uint64(0); ; round++ {
		var sum uint64
		for i := uint64(0); i < (1+round%8)*2_000_000; i++ {
			sum += i ^ sum<<3
		}
		total += sum
		runtime.Gosched()
	}
}

func main() {
	runtime.GOMAXPROCS(2)
	go hold()
	var stats runtime.MemStats
	for told := uint32(0); told < cycles; {
		kept = nil
		for range 500 {
			kept = append(kept, make([]byte, 16<<10))
		}
		for runtime.ReadMemStats(&stats); told < stats.NumGC; told++ {
			println("own", told+1, stats.PauseNs[told%256])
		}
	}
}
