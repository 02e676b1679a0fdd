import type { AnyRequest } from '../source/source.js'
import { warnOf } from './warn.js'

const checked = new WeakSet<object>()

/** Looks once at the server a request came through, and warns of what would surprise its operator. */
export function checkServer({ socket }: AnyRequest): void {
  const server = (socket as { server?: { requestCert?: unknown; ca?: unknown } }).server
  if (server === undefined || checked.has(server)) return
  checked.add(server)
  // Node takes the public roots where `ca` is missing. We do not look at what Node trusts, but whoever reads socket.authorized does.
  if (server.requestCert === true && server.ca === undefined) {
    warnOf(
      server,
      'MTLS_PUBLIC_ROOTS',
      'the TLS server trusts the public roots (ca not set) — ca: [] and let trust: decide',
    )
  }
}
