package delivery

import "sync"

// spared is how many places replies leave to the others while some of them wait,
// so that slow answers of Zalo's cannot keep them out.
const spared = 4

// places counts the calls in the air, from before their mark until they are
// settled.
type places struct {
	mu    sync.Mutex
	total int
	taken int
}

// take takes up to n places. Replies leave a few when others wait.
func (p *places) take(n int, spare bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.total - p.taken
	if spare {
		free -= min(spared, p.total/4)
	}
	n = max(0, min(n, free))
	p.taken += n
	return n
}

func (p *places) give(n int) {
	p.mu.Lock()
	p.taken -= n
	p.mu.Unlock()
}

func (p *places) inAir() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}
