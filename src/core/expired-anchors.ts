import { ClientCertConfigError } from '../errors.js'
import { quote } from '../help.js'
import { momentOrNone } from '../moment.js'
import { endOf } from '../path/validate-path.js'
import type { TrustAnchor } from '../trust/trust-snapshot.js'
import { warn } from '../warn.js'
import type { Settings } from './options.js'

const named = 3

/**
 * Warns of trust anchors that have ended, now and at every reload. They accept nobody, and keep no other from accepting. Where all have ended
 * at the start, that is a mistake, and throws; at a reload it is what the operator wrote, and refuses. Returns what stops it.
 */
export function watchExpiry(settings: Pick<Settings, 'trust' | 'now' | 'exceptions'>): () => void {
  const { trust } = settings
  const { anchors, pinned } = trust.current()
  const ended = endedOf(settings)
  if (anchors.length > 0 && ended.length === anchors.length + pinned.length) {
    throw new ClientCertConfigError(
      `trust: every certificate in it has ended: ${namesOf(ended)} — put the CA there that issues your clients now`,
    )
  }
  let told = tell(ended)
  return trust.onReload((result) => {
    if (!result.ok) return
    told = tell(endedOf(settings), told)
  })
}

/** Those that accept nobody any more: a pinned client may have an exception, an anchor has none. */
function endedOf({ trust, now, exceptions }: Pick<Settings, 'trust' | 'now' | 'exceptions'>): TrustAnchor[] {
  const at = momentOrNone({ now })
  const { anchors, pinned } = trust.current()
  const isExcepted = ({ certificate }: TrustAnchor) =>
    exceptions?.find(certificate.fingerprint, 'ERR_CLIENT_CERT_EXPIRED', 0, at) !== undefined
  return [...anchors, ...pinned.filter((pin) => !isExcepted(pin))].filter(
    ({ certificate }) => at >= endOf(certificate.notAfter),
  )
}

/** Said again when others have ended, not at every reload that finds the same. */
function tell(ended: readonly TrustAnchor[], told = ''): string {
  const names = ended.length === 0 ? '' : namesOf(ended)
  if (names !== '' && names !== told)
    warn('MTLS_EXPIRED_ANCHOR', `trust: ${names} ended, and accepts nobody — remove it, or put its successor there`)
  return names
}

function namesOf(anchors: readonly TrustAnchor[]): string {
  const names = anchors.slice(0, named).map(({ certificate }) => quote(certificate.subject.toString()))
  const more = anchors.length - named
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
