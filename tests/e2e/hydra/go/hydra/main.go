// Command hydra is the stock Ory Hydra server; the path of its own main package ends with its version.
package main

import "github.com/ory/hydra/v2/cmd"

func main() { cmd.Execute() }
