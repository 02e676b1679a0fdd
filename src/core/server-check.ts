import { maxHeaderSize } from 'node:http'
import type { AnyRequest, CertificateSource } from '../source/source.js'
import { isUpgradeGuarded } from './upgraded-servers.js'

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
    process.emitWarning('the TLS server trusts the public roots (ca not set) — ca: [] and let trust: decide', {
      type: 'MtlsIdentityWarning',
      code: 'MTLS_PUBLIC_ROOTS',
    })
  }
  // Node answers 431 by itself, and the application never hears of it.
  const maximum = typeof server.maxHeaderSize === 'number' ? server.maxHeaderSize : maxHeaderSize
  if (headerOctets > maximum) {
    process.emitWarning(
      `the proxy may send ${headerOctets} octets of headers with a chain of certificates, the server takes ${maximum} — http.createServer({ maxHeaderSize: 65536 }), or forward the client's certificate only and set intermediates:`,
      { type: 'MtlsIdentityWarning', code: 'MTLS_HEADER_SIZE' },
    )
  }
  if ((server.listenerCount?.('upgrade') ?? 0) > 0 && !isUpgradeGuarded(server)) {
    process.emitWarning(
      "an 'upgrade' listener is attached, which middleware does not see — authenticateUpgrade(server, auth), unless the listener itself asks auth.authenticate(request)",
      { type: 'MtlsIdentityWarning', code: 'MTLS_UPGRADE_UNGUARDED' },
    )
  }
}
