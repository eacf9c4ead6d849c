/** Settings of sfss on servers of memcached's protocol, and of such a server alone. */
import { bytes, HOST_PORT, integer, text } from './setting.ts'

const MIB = 1024 * 1024
const NODE = HOST_PORT.pattern.source.slice(1, -1)

export const SFSS_SETTINGS = {
  storage: text({
    doc:
      "Where sfss keeps its files, if not in the store itself: servers of memcached's protocol, " +
      '`memcached://HOST:PORT,HOST:PORT,…`. Then it needs neither a master nor PostgreSQL.',
    fallback: '',
    fallbackDoc: 'the store',
    placeholder: 'URL',
    pattern: new RegExp(`^memcached://${NODE}(,${NODE})*$`),
    expected: 'memcached://HOST:PORT,HOST:PORT,…',
  }),
  copies: integer({
    doc: 'Copies of each file on the servers of `--storage`. More than half of them must take a write.',
    fallback: 0,
    fallbackDoc: '3, or as many as there are servers',
    min: 0,
    max: 9,
  }),
  memcachedCacheBytes: bytes({
    doc: "Memory for values of memcached's protocol that were written or read lately. 0: none.",
    fallback: 64 * MIB,
    min: 0,
    max: 1024 * 1024 * MIB,
  }),
  monitor: text({
    doc: 'HOST:PORT of `/metrics` and `/healthz`, for a process that serves one door alone; with `--storage` also of a page about its servers. Empty: none.',
    fallback: '',
    fallbackOf: { sfss: '127.0.0.1:9900' },
    placeholder: 'HOST:PORT',
    ...HOST_PORT,
  }),
}
