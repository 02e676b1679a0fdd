import type { ClientCertErrorCode, ClientCertErrorDetails } from '../errors.js'
import { addressOf, openChannel, present } from '../event-channels.js'
import { sharedMap } from '../shared.js'
import { wrongSecretOf } from '../source/proxy-secret.js'
import type { AnyRequest } from '../source/source.js'
import type { Decision } from './decision.js'

/**
 * Somebody tried to speak in the place of your proxy, or your proxy lets clients do so. What a header said is not in it: names of header fields,
 * as they were configured, and nothing else.
 */
export interface SpoofingEvent {
  /**
   * - `untrusted-peer`: a certificate header from a peer the gate does not admit
   * - `wrong-secret`: a peer gave a secret to `proxySecret()` that is none, or two
   * - `look-alike`: a name that differs from the header's in `_` or `.` only
   * - `repeated`: a header that stands once came several times
   * - `in-connection`: the header's name was listed in `Connection`, which makes proxies drop it (CVE-2024-45410)
   * - `too-many-fields`: so many fields that Node may have dropped a second line
   * - `disagreeing`: a header beside the certificate is missing, or speaks of another certificate
   */
  readonly kind: 'untrusted-peer' | 'wrong-secret' | ClientCertErrorDetails['ERR_CLIENT_CERT_HEADER_AMBIGUOUS']['cause']
  /** The field it is about, lower case. */
  readonly header: string
  /** Of the refusal; absent where the client was accepted by its own TLS certificate all the same (`byPeer`). */
  readonly code?: ClientCertErrorCode
  /** Of the peer of the connection; absent on a Unix socket. */
  readonly address?: string
}

/** Hears a {@link SpoofingEvent}, once for each request. */
export const spoofingChannel = openChannel<SpoofingEvent>('spoofing')

/** Of several mounts and guards the first one says it. */
const told = sharedMap<true>('spoofing')

/** To be called with every decision while somebody listens. */
export function tellSpoofing(decision: Decision, request: AnyRequest | undefined): void {
  if (request === undefined || told.has(request)) return
  const attempt = attemptOf(decision, request)
  if (attempt === undefined) return
  told.set(request, true)
  const code = decision.outcome === 'accepted' ? undefined : decision.error.code
  const address = addressOf(request.socket?.remoteAddress)
  spoofingChannel.publish(Object.freeze({ ...attempt, ...present({ code, address }) }))
}

function attemptOf(decision: Decision, request: AnyRequest): Pick<SpoofingEvent, 'kind' | 'header'> | undefined {
  const error = decision.outcome === 'accepted' ? undefined : decision.error
  if (error?.code === 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS') {
    const { cause, header } = error.detail
    return { kind: cause, header }
  }
  // Whatever became of the request: without the certificate's header it is a guess at the secret.
  const secret = wrongSecretOf(request)
  if (secret !== undefined) return { kind: 'wrong-secret', header: secret }
  if (error?.code !== 'ERR_CLIENT_CERT_UNTRUSTED_PROXY') return undefined
  return { kind: 'untrusted-peer', header: error.detail.header }
}
