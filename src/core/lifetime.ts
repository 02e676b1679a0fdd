import { watchExpiry } from './expired-anchors.js'
import type { Settings } from './options.js'

/** Raises the alarm for trust anchors that have ended. What was opened for the authenticator is closed where that fails. */
export function watchAnchors(settings: Settings): () => void {
  if (settings.trust === settings.enforced?.trust) return () => {}
  try {
    return watchExpiry(settings)
  } catch (error) {
    closeOwn(settings)
    throw error
  }
}

/** Stops what was opened for this authenticator alone. */
export function closeOwn({ ownStores, closeRules, exceptions, enforced }: Settings): void {
  for (const store of ownStores) store.close()
  closeRules()
  if (enforced === undefined) exceptions?.close()
}

/** At once, unless a provider has to answer first: who asks for the CAs before would be told that there are none. */
export function whenTrustIsLoaded({ trust, intermediates }: Settings, call: () => void): () => void {
  const stores = [trust, intermediates].filter((store) => store !== undefined)
  const isLoaded = () => stores.every((store) => store.isLoaded)
  const stops: (() => void)[] = []
  const stop = () => {
    for (const each of stops.splice(0)) each()
  }
  if (isLoaded()) call()
  else {
    const loaded = () => {
      if (stops.length === 0 || !isLoaded()) return
      stop()
      call()
    }
    for (const store of stores) stops.push(store.onReload(loaded))
  }
  return stop
}

/** Whose CRLs are needed, as far as the configuration tells. */
export const trustedCas = ({ trust, intermediates }: Settings) =>
  [...trust.current().anchors, ...(intermediates?.current().anchors ?? [])].map(({ certificate }) => certificate)
