// Connects to each target in turn and prints what it answers.
const net = require("node:net");

function ask(targets) {
  const [host, port] = targets.splice(0, 2);
  if (host === undefined) return;
  const connection = net.connect({ host, port: Number(port) }, () => connection.write("who\n"));
  connection.on("error", (error) => console.log(error.code));
  connection.once("data", (answer) => {
    console.log(`${answer.toString().trim()} peer=${connection.remotePort}`);
    connection.destroy();
  });
  connection.on("close", () => ask(targets));
}

ask(process.argv.slice(2));
