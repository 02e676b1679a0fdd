/**
 * Domains that hold what lies below them. A name is looked up by its own endings, and by no more of them than the deepest domain has labels, so
 * that neither many domains nor a name of many labels costs more than one lookup a label.
 */
export class DomainSet {
  readonly #domains = new Set<string>()
  #deepest = 0

  add(domain: string): void {
    this.#domains.add(domain)
    this.#deepest = Math.max(this.#deepest, domain === '' ? 0 : domain.split('.').length)
  }

  /** Whether the name is one of the domains, or lies in one, label by label. The empty domain holds everything. */
  holds(name: string): boolean {
    if (this.#domains.size === 0) return false
    for (let domain = lastLabels(name, this.#deepest); ; domain = parentOf(domain)) {
      if (this.#domains.has(domain)) return true
      if (domain === '') return false
    }
  }

  /** Whether the name lies below one of the domains, itself not counted. */
  holdsBelow(name: string): boolean {
    return this.holds(parentOf(name))
  }
}

/** The domain one label up; empty at the top. */
export const parentOf = (domain: string): string => (domain.includes('.') ? domain.slice(domain.indexOf('.') + 1) : '')

function lastLabels(name: string, count: number): string {
  let at = name.length
  for (let labels = 0; labels < count; labels++) {
    at = name.lastIndexOf('.', at - 1)
    if (at < 0) return name
  }
  return name.slice(at + 1)
}

/**
 * Networks of one family, as ranges that do not overlap, so that an address is found by bisection among any number of them. Addresses are text
 * of one character an octet: text of equal length compares as the octets do.
 */
export class NetworkSet {
  readonly #ranges: [first: string, last: string][] = []
  #isSorted = true

  add(network: Uint8Array, mask: Uint8Array): void {
    const first = Uint8Array.from(network, (octet, i) => octet & (mask[i] as number))
    const last = Uint8Array.from(network, (octet, i) => octet | (~(mask[i] as number) & 0xff))
    this.#ranges.push([textOf(first), textOf(last)])
    this.#isSorted = false
  }

  holds(address: Uint8Array): boolean {
    if (!this.#isSorted) this.#merge()
    const text = textOf(address)
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      const [first, last] = this.#ranges[middle] as [string, string]
      if (text < first) high = middle
      else if (text > last) low = middle + 1
      else return true
    }
    return false
  }

  #merge(): void {
    const sorted = this.#ranges.splice(0).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    for (const range of sorted) {
      const before = this.#ranges.at(-1)
      if (before === undefined || range[0] > before[1]) this.#ranges.push(range)
      else if (range[1] > before[1]) before[1] = range[1]
    }
    this.#isSorted = true
  }
}

const textOf = (octets: Uint8Array) => String.fromCharCode(...octets)
