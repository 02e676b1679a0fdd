import { deny } from '../errors.js'
import { generationOf } from '../rules/rule.js'
import type { Epoch } from './decision-memory.js'
import type { Settings } from './options.js'

/** Taken once per decision, so that a reload never mixes two stores in one. What is too old, or not loaded yet, decides nothing. */
export function epochOf(settings: Settings): Epoch {
  const { trust, intermediates } = settings
  const reason = trust.unusable ?? intermediates?.unusable
  if (reason !== undefined) throw deny('ERR_CLIENT_CERT_NOT_READY', { reason })
  return {
    trust: trust.current(),
    intermediates: intermediates?.current(),
    revocation: revocationGenerationOf(settings),
    rules: rulesGenerationOf(settings),
  }
}

export const isSameEpoch = (a: Epoch, b: Epoch): boolean =>
  a.trust === b.trust && a.intermediates === b.intermediates && a.revocation === b.revocation && a.rules === b.rules

/** Text that changes whenever remembered decisions have to be made again. */
export function stampOf(settings: Settings): string {
  const { trust, intermediates } = settings
  return [
    trust.current().generation,
    intermediates?.current().generation,
    revocationGenerationOf(settings),
    rulesGenerationOf(settings),
    trust.unusable ?? intermediates?.unusable,
  ].join()
}

const revocationGenerationOf = ({ revocation }: Settings) => (revocation === 'none' ? 0 : (revocation.generation ?? 0))

/** Of the rules and the exceptions: both only rise. */
const rulesGenerationOf = ({ rules, exceptions }: Settings) => generationOf(rules) + (exceptions?.generation ?? 0)
