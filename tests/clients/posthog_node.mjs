// Sends one event of every kind that posthog-node has: HOST KEY.
import { PostHog } from 'posthog-node'

const [host, key] = process.argv.slice(2)
const client = new PostHog(key, { host, flushAt: 20, flushInterval: 0, fetchRetryDelay: 100 })

client.capture({
  distinctId: 'u1',
  event: 'Order Completed',
  properties: { total: 12.5, currency: 'EUR' },
  groups: { company: 'g4' },
  timestamp: new Date('2025-08-14T16:11:28.677Z'),
})
client.capture({
  distinctId: 'u1',
  event: '$pageview',
  properties: { $current_url: 'https://example.com/a?utm_source=podcast' },
})
client.identify({ distinctId: 'u1', properties: { plan: 'pro', $set_once: { first_seen: '2025' } } })
client.alias({ distinctId: 'u1', alias: 'lead-812' })
client.groupIdentify({
  groupType: 'company',
  groupKey: 'g4',
  properties: { industry: 'roofing' },
  distinctId: 'u1',
})
client.captureException(new TypeError('no such partner'), 'u1')
client.capture({
  distinctId: 'u1',
  event: '$ai_generation',
  properties: {
    $ai_trace_id: 'trace-1',
    $ai_provider: 'anthropic',
    $ai_model: 'claude-sonnet-4',
    $ai_input: [{ role: 'user', content: 'Hello' }],
    $ai_output_choices: [{ role: 'assistant', content: 'Good day.' }],
    $ai_input_tokens: 10,
    $ai_output_tokens: 4,
    $ai_cache_read_input_tokens: 100,
    $ai_latency: 0.5,
  },
})
await client.captureImmediate({ distinctId: 'u1', event: 'at once' })
await client.getFeatureFlag('new-match-page', 'u1')
await client.shutdown()
