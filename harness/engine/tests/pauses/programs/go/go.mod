module pauses

go 1.22
