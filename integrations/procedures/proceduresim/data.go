package proceduresim

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

//go:embed procedures.csv
var proceduresCSV []byte

//go:embed communes.txt
var communesTXT string

// procedure is a kind of dossier in the catalogue.
type procedure struct {
	code, name, field string
	provincial        bool // handled by a department, not a commune
	days              int  // working days promised
	fee               int64
	feeNote           string
}

// agency is who handles a dossier. The codes are invented but for their shape.
type agency struct{ code, name string }

var (
	catalogue   = readCatalogue()
	communes    = readCommunes()
	departments = []agency{
		{"H42.02", "Sở Tư pháp"}, {"H42.03", "Sở Xây dựng"}, {"H42.04", "Sở Nông nghiệp và Môi trường"},
		{"H42.05", "Sở Tài chính"}, {"H42.06", "Công an tỉnh"}, {"H42.07", "Sở Y tế"}, {"H42.08", "Sở Nội vụ"},
	}
)

var daysRE = regexp.MustCompile(`^\d+`)

func readCatalogue() []procedure {
	rows, err := csv.NewReader(bytes.NewReader(proceduresCSV)).ReadAll()
	if err != nil {
		panic(err) // embedded
	}
	column := map[string]int{}
	for i, h := range rows[0] {
		column[h] = i
	}
	var out []procedure
	for _, r := range rows[1:] {
		get := func(name string) string { return r[column[name]] }
		p := procedure{
			code: get("code"), name: get("name"), field: get("field"),
			provincial: !strings.Contains(get("level"), "xã"), days: 5, feeNote: get("remark"),
		}
		if n, err := strconv.Atoi(daysRE.FindString(get("time_counter"))); err == nil && n > 0 && !strings.Contains(get("time_counter"), "giờ") {
			p.days = n
		}
		p.fee, _ = strconv.ParseInt(get("fee_counter_vnd"), 10, 64) // empty where there is none
		if get("fee_rule") == "set_by_province" && p.feeNote == "" {
			p.feeNote = "Theo nghị quyết của Hội đồng nhân dân tỉnh"
		}
		out = append(out, p)
	}
	return out
}

func readCommunes() []agency {
	var out []agency
	for i, name := range strings.Split(strings.TrimSpace(communesTXT), "\n") {
		name = strings.Replace(strings.Replace(name, "Phường", "phường", 1), "Xã", "xã", 1)
		out = append(out, agency{fmt.Sprintf("H42.%03d", 101+i), "UBND " + name})
	}
	return out
}

// Invented people: each name carries a word that no registry would.
var (
	families = []string{"Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Phan", "Vũ", "Đặng", "Bùi", "Đỗ", "Đinh", "Dương"}
	middles  = []string{"Thị", "Văn", "Đức", "Ngọc", "Minh", "Thu", "Quang", "Hữu", "Thanh", "Hồng"}
	givens   = []string{"Mẫu", "Thử", "Ví Dụ", "Minh Hoạ", "Giả Định", "Bịa", "Nháp", "Tập", "Diễn", "Phỏng"}
	officers = []string{"Trần Văn Thử", "Lê Thị Ví Dụ", "Phạm Thị Minh Hoạ", "Đỗ Văn Nháp", "Vũ Thị Tập"}
	missing  = []string{
		"Bản sao giấy chứng nhận quyền sử dụng đất", "Giấy chứng sinh", "Bản sao trích lục kết hôn",
		"Tờ khai có chữ ký của cả hai bên", "Giấy uỷ quyền có chứng thực", "Bản vẽ mặt bằng",
	}
)
