import { maxHeaderSize } from 'node:http'
import type { AnyRequest, CertificateSource } from '../source/source.js'
import { warnOf } from '../warn.js'
import { checkUpgrades } from './upgraded-servers.js'

interface CheckedServer {
  requestCert?: unknown
  ca?: unknown
  maxHeaderSize?: unknown
  listenerCount?(event: string): number
}

const checked = new WeakSet<object>()

/** Looks once at the server a request came through, and warns of what would surprise its operator. */
export function checkServer({ socket }: AnyRequest, { headerOctets = 0 }: CertificateSource): void {
  const server = (socket as { server?: CheckedServer }).server
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
  // Node answers 431 by itself, and the application never hears of it.
  const maximum = typeof server.maxHeaderSize === 'number' ? server.maxHeaderSize : maxHeaderSize
  if (headerOctets > maximum) {
    warnOf(
      server,
      'MTLS_HEADER_SIZE',
      `the proxy may send ${headerOctets} octets of headers with a chain of certificates, the server takes ${maximum} — http.createServer({ maxHeaderSize: 65536 }), or forward the client's certificate only and set intermediates:`,
    )
  }
  checkUpgrades(server)
}
