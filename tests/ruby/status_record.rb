# Answers each payload with "ok" if a Resque worker can handle it, else with the error. The worker parses the
# payload and generates its status record, which contains the payload.
require 'json'

STDIN.binmode
STDIN.each_line(chomp: true) do |payload|
  answer = begin
    parsed = JSON.parse(payload.force_encoding('UTF-8'))
    JSON.generate('queue' => 'q', 'run_at' => '2026-11-23T16:25:34Z', 'payload' => parsed)
    'ok'
  rescue StandardError => e
    "#{e.class}: #{e.message.b}"
  end
  puts answer.lines.first.chomp
end
