/** What `answer` comes to; where that takes longer, rejects with what `late` makes. Leaves no timer behind. */
export async function inTime<T>(answer: PromiseLike<T>, milliseconds: number, late: () => unknown): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), milliseconds)
  })
  try {
    return await Promise.race([answer, over])
  } finally {
    clearTimeout(timer)
  }
}
