// Calls methods of node-resque's Queue. Each line of standard input is a call, ["method", argument...] as JSON.
// Prints one line for each: the method's result as JSON.
// Argument: PORT
import { createInterface } from "node:readline";
import { Queue } from "node-resque";

const port = Number(process.argv[2]);
const connection = { host: "127.0.0.1", port, database: 0, namespace: "resque" };
const queue = new Queue({ connection });
queue.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
await queue.connect();
for await (const line of createInterface({ input: process.stdin })) {
  const [method, ...args] = JSON.parse(line);
  console.log(JSON.stringify(await queue[method](...args)));
}
await queue.end();
process.exit(0);
