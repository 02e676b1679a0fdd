import { networkOf } from '../address-ranges.js'
import { errorTable } from '../errors.js'
import { identityChannel, publishIdentity } from '../ledger/identity-events.js'
import { LruMap } from '../lru-map.js'
import type { AnyRequest } from '../source/source.js'
import type { DecisionFacts } from './audit.js'
import type { Decision } from './decision.js'

/** So many refusals within so long are a burst. One that goes on is told of again after each interval. */
export const burst = { refusals: 30, milliseconds: 60_000 } as const
/** Of addresses, and of certificates: whoever comes from more of them pushes out his own. */
const counted = 1_000

interface Count {
  from: number
  refusals: number
}

/**
 * Counts refusals by address and by certificate, while somebody listens. What went wrong in us (500, 503) is nobody's burst; behind a proxy, the
 * address is the proxy's and says nothing, unless it is a stranger's who came around it.
 */
export class Bursts {
  readonly #addresses: LruMap<string, Count>
  readonly #certificates: LruMap<string, Count>

  constructor(capacity: number = counted) {
    this.#addresses = new LruMap(capacity)
    this.#certificates = new LruMap(capacity)
  }

  refused(decision: Decision, facts: DecisionFacts, request: AnyRequest | undefined): void {
    if (!identityChannel.hasSubscribers || decision.outcome === 'accepted') return
    const { code } = decision.error
    const { at } = facts
    if (errorTable[code].status >= 500 || Number.isNaN(at)) return
    const told = { type: 'burst', time: new Date(at).toISOString(), refusals: burst.refusals, code } as const
    const seconds = burst.milliseconds / 1000
    const address = addressOf(decision, facts, request)
    if (address !== undefined && isFull(this.#addresses, address, at)) {
      publishIdentity(() => ({ ...told, of: 'address', address, seconds }))
    }
    const fingerprint = facts.identity?.fingerprint ?? facts.fingerprint
    if (fingerprint !== undefined && isFull(this.#certificates, fingerprint, at)) {
      publishIdentity(() => ({ ...told, of: 'certificate', fingerprint, seconds }))
    }
  }
}

/** Counts one more; true for the one that makes it a burst. */
function isFull(counts: LruMap<string, Count>, key: string, at: number): boolean {
  const known = counts.get(key)
  const isRecent = known !== undefined && at >= known.from && at < known.from + burst.milliseconds
  if (!isRecent) counts.set(key, { from: at, refusals: 1 })
  return isRecent && ++known.refusals === burst.refusals
}

function addressOf(decision: Decision, { via }: DecisionFacts, request: AnyRequest | undefined): string | undefined {
  if (via === 'proxy' || (decision.outcome !== 'accepted' && isOfProxy(decision.error))) return undefined
  const peer = request?.socket?.remoteAddress
  return peer === undefined ? undefined : networkOf(peer)
}

/** Refusals of a request that a trusted proxy handed on without a certificate of its client. */
function isOfProxy(error: Extract<Decision, { error: object }>['error']): boolean {
  switch (error.code) {
    case 'ERR_CLIENT_CERT_HEADER_MALFORMED':
    case 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS':
    case 'ERR_CLIENT_CERT_PROXY_REFUSED':
      return true
    case 'ERR_CLIENT_CERT_ABSENT': {
      const { cause, header } = error.detail
      return header !== undefined && cause !== 'not-the-proxy' && cause !== 'header-unread'
    }
    default:
      return false
  }
}
