# Answers each line, a payload, with the payload as a worker of an app with ActiveSupport writes it into
# its status record, and as the app enqueues it: by `to_json`, which Resque calls by way of MultiJson.
require 'active_support'
require 'active_support/json'

STDIN.each_line { |payload| puts JSON.parse(payload).to_json }
