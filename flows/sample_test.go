package flows_test

import (
	"testing"

	"congdanso/bot/bottest"
	"congdanso/flows/flowtest"
)

func TestEveryFactGiven(t *testing.T) {
	bottest.Run(t, "testdata/sample_facts*.txt", flowtest.OpenSample)
}
