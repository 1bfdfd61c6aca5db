module rolevend.internal/bench/load

go 1.26.0

tool rolevend.internal/bench/load/load
