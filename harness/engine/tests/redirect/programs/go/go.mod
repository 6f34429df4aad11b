module client

go 1.20
