import { type AnyClientCertError, errorTable } from '../errors.js'
import type { CertificationPath } from '../path/certification-path.js'
import { shortfallsOf } from '../path/next-standard.js'
import type { ResolvedProfile } from '../path/profile.js'
import type { Shortfall } from './identity-events.js'

/** Why a path will not do under the next standard, in words that name nobody. */
export function outdatedReasons(path: CertificationPath, standard: ResolvedProfile, at: number): readonly Shortfall[] {
  const reasons = shortfallsOf(path, standard, at).map((error) =>
    Object.freeze({ code: error.code, depth: error.depth ?? 0, reason: reasonOf(error) }),
  )
  return Object.freeze(reasons)
}

function reasonOf({ code, detail }: AnyClientCertError): string {
  switch (code) {
    case 'ERR_CLIENT_CERT_WEAK_KEY':
      return `${detail.key}: ${detail.reason}`
    case 'ERR_CLIENT_CERT_ALGORITHM':
      return `${detail.algorithm}: ${detail.reason}`
    case 'ERR_CLIENT_CERT_KEY_USAGE':
      return `${detail.extension} without ${detail.required}`
    default:
      return errorTable[code].meaning
  }
}
