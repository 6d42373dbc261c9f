// Takes COUNT jobs from QUEUE with node-resque, and prints each as JSON.
// Arguments: PORT QUEUE COUNT
import { Worker } from "node-resque";

const [port, queue, count] = process.argv.slice(2);
const classes = ["Reports::Daily", "ActiveJob::QueueAdapters::ResqueAdapter::JobWrapper"];
let left = Number(count);
const job = (name) => ({
  perform: async (...args) => {
    console.log(JSON.stringify({ class: name, args }));
    left -= 1;
  },
});
const jobs = Object.fromEntries(classes.map((name) => [name, job(name)]));
const connection = { host: "127.0.0.1", port: Number(port), database: 0, namespace: "resque" };
const worker = new Worker({ connection, queues: [queue], timeout: 10 }, jobs);
const fail = (...details) => {
  console.error(...details);
  process.exit(1);
};
worker.on("failure", fail);
worker.on("error", fail);
worker.on("success", async () => {
  if (left === 0) {
    await worker.end();
    process.exit(0);
  }
});
await worker.connect();
await worker.start();
